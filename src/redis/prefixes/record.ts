import { PrefixError } from '../../prefix/errors.js';
import { findVersion, type PrefixDetails, type PrefixInfo, type StoredFileName } from '../../prefix/store.js';
import type { FileLayout } from '../pieces.js';

/** What a text prefix was made of, kept like a file. */
export const TEXT_FILE = 'text';
export type RedisFileName = StoredFileName | typeof TEXT_FILE;

/** What is known of one version: `<order> <JSON>` in the field `v:<version>` of the name's hash. */
export interface VersionEntry {
  readonly info: PrefixInfo;
  /** Random, and part of its pieces' keys. */
  readonly draft: string;
  /** Of all its files. */
  readonly pieces: number;
  readonly files: Readonly<Partial<Record<RedisFileName, FileLayout>>>;
}

/** A name's hash as Redis gives it: `current` (an entry), `draft` (of the newest version), `last` (order) and the versions. */
export type NameHash = Readonly<Record<string, string>>;

/** Throws `prefix_damaged`. */
export function decodeEntry(text: string): VersionEntry {
  try {
    const entry = JSON.parse(text.slice(text.indexOf(' ') + 1)) as Partial<VersionEntry>;
    if (entry.info && entry.files && typeof entry.draft === 'string' && typeof entry.pieces === 'number') {
      return entry as VersionEntry;
    }
  } catch {
    // Not JSON: refused below.
  }
  throw new PrefixError('prefix_damaged', 'name: the stored record of this prefix is damaged');
}

/** Every version, newest first. Throws `prefix_damaged`. */
export function decodeEntries(hash: NameHash): VersionEntry[] {
  return entryTexts(hash).map(decodeEntry);
}

/** As `decodeEntries`, without those that are damaged. */
export function undamagedEntries(hash: NameHash): VersionEntry[] {
  return entryTexts(hash).flatMap(entryUnlessDamaged);
}

/** One entry or none. */
export function entryUnlessDamaged(text: string): VersionEntry[] {
  try {
    return [decodeEntry(text)];
  } catch {
    return [];
  }
}

function entryTexts(hash: NameHash): string[] {
  const versions = Object.entries(hash).filter(([field]) => field.startsWith('v:'));
  return versions.map(([, text]) => text).sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
}

/** The current version, or the one that begins with `version`. Throws `prefix_damaged` and `prefix_version_ambiguous`. */
export function detailsOf(hash: NameHash, version?: string): PrefixDetails | undefined {
  const versions = decodeEntries(hash).map(({ info }) => info);
  const info = version === undefined ? decodeEntry(hash['current'] ?? '').info : findVersion(versions, version);
  return info && { ...info, versions };
}
