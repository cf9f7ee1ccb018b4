import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists } from '../../disk/durable.js';
import { PrefixError } from '../errors.js';
import { allTo, leaderOf, sharesOf, storedShares } from '../shares.js';
import type { NameState, PrefixDetails, PrefixInfo } from '../store.js';
import { undamagedRecord } from './version-directory.js';

/** Name of the name file in a name's directory. */
export const NAME_FILE = 'name.json';

/** Content of `name.json`: the versions and the state of a name. The file is always replaced as a whole. */
export interface NameFile extends NameState {
  readonly name: string;
  /** The version that the bare name stands for, or the one that leads its shares. Empty in a file that was rebuilt. */
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

/** The name file with a version, added if it is new. Unless it is a standby of another, it is the current one and answers all. */
export function withVersion(names: NameFile | undefined, info: PrefixInfo, standby = false): NameFile {
  const { name, version } = info;
  const known = names?.versions.some((other) => other.version === version);
  const versions = known ? (names?.versions ?? []) : [info, ...(names?.versions ?? [])];
  const before = names === undefined || names.current === '' ? undefined : names;
  if (before === undefined) return { name, current: version, versions };
  if (standby || isAlone(before, version)) return { ...before, versions };
  return {
    ...before,
    current: version,
    versions,
    shares: undefined,
    previous: sharesOf({ ...before, version: before.current }),
  };
}

/** Whether a version is the current one and answers all requests. */
export function isAlone({ current, shares }: NameFile, version: string): boolean {
  return current === version && shares === undefined;
}

/** The name file with another state. */
export function withState(names: NameFile, { shares, previous, grants }: NameState): NameFile {
  const { name, current, versions } = names;
  const leader = leaderOf(shares ?? allTo(current), current);
  return { name, current: leader, versions, shares: storedShares(shares), previous, grants };
}

/** The details of a name in one of its versions. */
export function toDetails({ versions, shares, previous, grants }: NameFile, info: PrefixInfo): PrefixDetails {
  return { ...info, versions, shares, previous, grants };
}

/** The version that the bare name stands for; undefined when the file is damaged. */
export function currentVersion({ versions, current }: NameFile): PrefixInfo | undefined {
  return versions.find(({ version }) => version === current);
}
