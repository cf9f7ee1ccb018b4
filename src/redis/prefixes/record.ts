import { PrefixError } from '../../prefix/errors.js';
import {
  findVersion,
  type NameState,
  type PrefixDetails,
  type PrefixInfo,
  type StoredFileName,
} from '../../prefix/store.js';
import type { FileLayout } from '../pieces.js';

/** The source text of a text prefix, stored like a file. */
export const TEXT_FILE = 'text';
/** Name of a stored file of a version. */
export type RedisFileName = StoredFileName | typeof TEXT_FILE;

/** The record of one version: `<order> <JSON>` in the field `v:<version>` of the name's hash. */
export interface VersionEntry {
  readonly info: PrefixInfo;
  /** Random id of the upload; part of the keys of its pieces. */
  readonly draft: string;
  /** Number of pieces of all files together. */
  readonly pieces: number;
  readonly files: Readonly<Partial<Record<RedisFileName, FileLayout>>>;
}

/**
 * The hash of a name, as Redis returns it: `current` (an entry), `draft` (of the upload that was stored last), `last` (order
 * of the newest version), an entry for each version, and as JSON what there is of `shares`, `previous` and `grants`.
 */
export type NameHash = Readonly<Record<string, string>>;

/** Decodes an entry. Throws `prefix_damaged`. */
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

/** Decodes the entries of all versions, newest first, leaving out damaged ones. */
export function undamagedEntries(hash: NameHash): VersionEntry[] {
  return entryTexts(hash).flatMap(entryUnlessDamaged);
}

/** Decodes an entry: an array of one, or empty if the entry is damaged. */
export function entryUnlessDamaged(text: string): VersionEntry[] {
  try {
    return [decodeEntry(text)];
  } catch {
    return [];
  }
}

/** Decodes the state of a name. Throws `prefix_damaged`. */
function stateOf({ shares, previous, grants }: NameHash): NameState {
  try {
    return { shares: parse(shares), previous: parse(previous), grants: parse(grants) } as NameState;
  } catch {
    throw new PrefixError('prefix_damaged', 'name: the stored shares or grants of this prefix are damaged');
  }
}

/** The value of a field of JSON; undefined where the hash does not have it. */
function parse(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}

function entryTexts(hash: NameHash): string[] {
  const versions = Object.entries(hash).filter(([field]) => field.startsWith('v:'));
  return versions.map(([, text]) => text).sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
}

/**
 * The current version, or the one whose id begins with `version`, with all undamaged versions; undefined when there is none. Throws
 * `prefix_damaged` for a damaged one and `prefix_version_ambiguous`.
 */
export function detailsOf(hash: NameHash, version?: string): PrefixDetails | undefined {
  const versions = undamagedEntries(hash).map(({ info }) => info);
  const info = version === undefined ? decodeEntry(hash['current'] ?? '').info : findVersion(versions, version);
  if (info !== undefined) return { ...info, versions, ...stateOf(hash) };
  const damaged = Object.keys(hash).find((field) => field.startsWith(`v:${version}`));
  if (damaged !== undefined) decodeEntry(hash[damaged] ?? '');
  return undefined;
}
