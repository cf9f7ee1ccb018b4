import { createHash } from 'node:crypto';

import { type AdapterFiles, CONFIG_FILE, MODEL_FILE, type Placement, TEMPLATE_FILE } from './adapter/format.js';
import { KV_FILE, type PrefixUpload, type StoredFileName } from './store.js';

/** Changes when the encoding below does: an old version must not get a new meaning. */
const ENCODING = 'preamble prefix 1';

/** The version of an adapter's files with their placement: 64 hex digits, the same for the same content. */
export function filesVersion({ config, model, template }: AdapterFiles, placement: Placement): string {
  return hashParts(['files', placement, config, model, ...(template === undefined ? [] : [template])]);
}

/** The version of a text: 64 hex digits, the same for the same text. */
export function textVersion(text: string): string {
  return hashParts(['text', text]);
}

/** sha256 of a version's files, each as 64 hex digits. */
export type FileSums = Readonly<Partial<Record<StoredFileName, string>>>;

/** The sums of the files that a version has. */
export function fileSums({ files, kv }: Pick<PrefixUpload, 'files' | 'kv'>): FileSums {
  const sum = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
  const { config, model, template } = files;
  const ofTemplate = template === undefined ? {} : { [TEMPLATE_FILE]: sum(template) };
  const ofAdapter = { [CONFIG_FILE]: sum(config), [MODEL_FILE]: sum(model), ...ofTemplate };
  return kv === undefined ? ofAdapter : { ...ofAdapter, [KV_FILE]: sum(kv) };
}

/** sha256 over the parts, each behind its length: no two lists of parts look alike. */
function hashParts(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of [ENCODING, ...parts]) {
    hash.update(`${typeof part === 'string' ? Buffer.byteLength(part) : part.length}:`).update(part);
  }
  return hash.digest('hex');
}
