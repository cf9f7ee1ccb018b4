import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { replaceFile } from '../../disk/durable.js';
import { CONFIG_FILE, MODEL_FILE, TEMPLATE_FILE } from '../../prefix/adapter/format.js';
import type { PrefixDetails } from '../../server/prefixes/schema.js';
import type { Client } from '../client.js';

/** The path of a prefix, `name` or `name@VERSION`, at a server. */
export function pathOf(name: string): string {
  return `/v1/prefixes/${encodeURIComponent(name)}`;
}

/** The digits of a version that are printed. */
export function shorten(version: string): string {
  return version.slice(0, 12);
}

/** Downloads the files of an adapter, all of one version, into a directory. Returns its placement. */
export async function pullAdapter(client: Client, name: string, directory: string): Promise<string> {
  const { version, chat_template: hasTemplate } = await client.json<PrefixDetails>('GET', pathOf(name));
  const names = hasTemplate ? [CONFIG_FILE, MODEL_FILE, TEMPLATE_FILE] : [CONFIG_FILE, MODEL_FILE];
  const exact = pathOf(`${name.replace(/@[0-9a-f]+$/, '')}@${version}`);
  const files = await Promise.all(names.map((file) => client.bytes(`${exact}/files/${file}`)));
  await mkdir(directory, { recursive: true });
  for (const [i, file] of names.entries()) await replaceFile(join(directory, file), files[i] ?? new Uint8Array());
  const { placement = 'prefix' } = JSON.parse(Buffer.from(files[0] ?? []).toString()) as { placement?: string };
  return placement;
}
