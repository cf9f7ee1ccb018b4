import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists } from '../../disk/durable.js';
import { PrefixError } from '../errors.js';
import type { PrefixInfo } from '../store.js';
import { undamagedRecord } from './version-directory.js';

/** Name of the name file in a name's directory. */
export const NAME_FILE = 'name.json';

/** Content of `name.json`: the versions of a name. The file is always replaced as a whole. */
export interface NameFile {
  readonly name: string;
  /** The version that the bare name stands for. */
  readonly current: string;
  /** Newest first. */
  readonly versions: readonly PrefixInfo[];
}

/** Reads a name file; undefined when there is none. Throws `prefix_damaged` when the content is not valid. */
export async function readNameFile(file: string): Promise<NameFile | undefined> {
  const text = await ifExists(fs.readFile(file, 'utf8'));
  if (text === undefined) return undefined;
  try {
    const names = JSON.parse(text) as NameFile;
    if (typeof names.name === 'string' && currentVersion(names) !== undefined) return names;
  } catch {
    // Not JSON, or nothing like a name file: refused below.
  }
  throw new PrefixError('prefix_damaged', 'name: the stored record of this prefix is damaged');
}

/**
 * Makes a name file anew, in place of one that is damaged or missing, from the records of the versions in its directory. It has no current
 * version; damaged versions are left out.
 */
export async function rebuildNameFile(directory: string, name: string): Promise<NameFile> {
  const entries = (await ifExists(fs.readdir(directory, { withFileTypes: true }))) ?? [];
  const versions: PrefixInfo[] = [];
  for (const entry of entries.filter((each) => each.isDirectory())) {
    const record = await undamagedRecord(path.join(directory, entry.name));
    if (record?.name !== name || record.version !== entry.name) continue;
    const { text: _, sha256: __, ...info } = record;
    versions.push(info);
  }
  return { name, current: '', versions: versions.sort((a, b) => b.created - a.created) };
}

/** Encodes a name file as JSON. */
export function encodeNameFile(names: NameFile): string {
  return JSON.stringify(names, undefined, 2);
}

/** The name file with `info` as its current version, added if it is new. */
export function withVersion(names: NameFile | undefined, info: PrefixInfo): NameFile {
  const { name, version } = info;
  const known = names?.versions.some((other) => other.version === version);
  const versions = known ? (names?.versions ?? []) : [info, ...(names?.versions ?? [])];
  return { name, current: version, versions };
}

/** The version that the bare name stands for; undefined when the file is damaged. */
export function currentVersion({ versions, current }: NameFile): PrefixInfo | undefined {
  return versions.find(({ version }) => version === current);
}
