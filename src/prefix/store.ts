import type { FileStream } from '../disk/file-stream.js';
import type { Page, PageOptions } from '../lib/page.js';
import { PrefixError } from './errors.js';
import {
  type AdapterFileName,
  type AdapterFiles,
  type AdapterKind,
  MODEL_FILE,
  type Placement,
  type SiteLengths,
} from './adapter/format.js';
import type { PrefixQuota } from './quota.js';

export type { FileStream } from '../disk/file-stream.js';

/** Description of one version of a prefix. Immutable. */
export interface PrefixInfo {
  readonly name: string;
  /** 64 hex digits: sha256 of the content. */
  readonly version: string;
  readonly kind: AdapterKind | 'text';
  readonly placement: Placement;
  /** Those of the site that has most, or embeddings before a source. */
  readonly numVirtualTokens: number;
  /** Virtual tokens at each site of an encoder-decoder; left out in a decoder-only model, and for embeddings before a source. */
  readonly sites?: SiteLengths;
  /** Set where it has a chat template of its own. */
  readonly template?: true;
  /** Bytes of its keys and values (or of embeddings before a source) in memory, float32. */
  readonly bytes: number;
  /** Unix seconds of the first upload of this version. */
  readonly created: number;
  /** Id of the base model when it was uploaded. */
  readonly baseModel: string;
  readonly warnings: readonly string[];
}

/** The part of a name's requests that one version answers. */
export interface Share {
  readonly version: string;
  /** Numbers of its buckets, 0 to 99, each of one version only. The last ones are given away first. */
  readonly buckets: readonly number[];
}

/** What a name has beside its versions. */
export interface NameState {
  /** Which versions answer requests for the bare name; undefined: the current one answers all. */
  readonly shares?: readonly Share[] | undefined;
  /** The shares before their last change; undefined: they have not changed. */
  readonly previous?: readonly Share[] | undefined;
  /** Who else may use the prefix; undefined: nobody. */
  readonly grants?: Grants | undefined;
}

/** Tenants, not the owner, that may use a prefix. */
interface Grants {
  /** The owner's name, of which a store keeps the key only. */
  readonly owner: string;
  /** At least one, each once. */
  readonly tenants: readonly string[];
}

/** A prefix, as other tenants than its owner name it. */
export interface ForeignPrefix {
  /** The owner. */
  readonly owner: string;
  readonly name: string;
}

/** A version that a name or `name@VERSION` stands for, with all versions of the name, newest first, and the name's state. */
export interface PrefixDetails extends PrefixInfo, NameState {
  readonly versions: readonly PrefixInfo[];
}

/** The details of a name with another of its versions in front. */
export function withInfo({ versions, shares, previous, grants }: PrefixDetails, info: PrefixInfo): PrefixDetails {
  return { ...info, versions, shares, previous, grants };
}

/** Keys and values of a prefix whose adapter file holds something else: a soft prompt's embeddings. */
export const KV_FILE = 'kv.safetensors';
export type StoredFileName = AdapterFileName | typeof KV_FILE;

/** A version to store. */
export interface PrefixUpload {
  readonly info: PrefixInfo;
  /** The files that PEFT loads. */
  readonly files: AdapterFiles;
  /** Bytes of `KV_FILE`, for a soft prompt only. */
  readonly kv?: Uint8Array | undefined;
  /** The text of a text prefix. */
  readonly text?: string | undefined;
  /** Whether the name's shares stay as they are, so that the version answers as `name@VERSION` only. False unless given. */
  readonly standby?: boolean | undefined;
}

export interface PutResult {
  /** As stored: an earlier upload's when the version was there before. */
  readonly record: PrefixInfo;
  /** Whether the version was new under this name. */
  readonly created: boolean;
}

/** A list begins behind a name, whether it still exists or not; all names are listed unless a limit is given. */
export type ListOptions = Partial<PageOptions>;

/**
 * Where prefixes live. An instance belongs to one base model (its fingerprint), and every call to one tenant: nothing
 * of another tenant or model is ever visible. Names and tenants are checked by the caller (`checkPrefixName`), tenants
 * also here (`tenant_invalid`). What cannot be read as it was written throws `prefix_damaged`.
 */
export interface PrefixStore {
  /**
   * Stores a version and, unless it is a standby, makes it the name's current one that answers all requests; all or nothing. Returns
   * once that is durable. Idempotent: what is there already counts against no quota, and is written anew only where it is damaged.
   * Throws `prefix_quota_exceeded`, checked in one step with storing, and `share_invalid` for a standby that is a name's first version.
   */
  put(tenant: string, upload: PrefixUpload, quota?: PrefixQuota): Promise<PutResult>;
  /** Whether a version (all 64 digits) is there, and all of it as it was written. Reads all of it. */
  isWhole(tenant: string, name: string, version: string): Promise<boolean>;
  /** Makes a version (all 64 digits) that is there the current one, which answers all requests; undefined when it is not there. */
  promote(tenant: string, name: string, version: string): Promise<PrefixInfo | undefined>;
  /**
   * Changes the state of a name in one step with reading it; undefined when there is no such name. The current version becomes the one that
   * leads the new shares (`leaderOf`).
   * @param change called again where the name has changed meanwhile; what it throws is thrown
   */
  update(
    tenant: string,
    name: string,
    change: (details: PrefixDetails) => NameState,
  ): Promise<PrefixDetails | undefined>;
  /** The prefixes of others that were noted for a tenant. What is noted need not be granted any more. */
  offers(tenant: string): Promise<readonly ForeignPrefix[]>;
  /** Notes a prefix of another tenant, or (`isOffered` false) removes its note. */
  noteOffer(tenant: string, prefix: ForeignPrefix, isOffered: boolean): Promise<void>;
  /**
   * The current version of a name, or the one whose version begins with `version`; undefined when there is none.
   * Throws `prefix_version_ambiguous`.
   */
  get(tenant: string, name: string, version?: string): Promise<PrefixDetails | undefined>;
  /**
   * The name that `id` stands for: itself where a name is called so, else the name whose `adapterId` it is; undefined when there is
   * neither. It may be gone by the time it is asked for.
   * @param id as `isAdapterId` wants it
   */
  nameOf(tenant: string, id: string): Promise<string | undefined>;
  /** A file of a version (all 64 digits); undefined when the version or the file is not there. */
  read(tenant: string, name: string, version: string, file: StoredFileName): Promise<Uint8Array | undefined>;
  /** As `read`, in pieces. */
  stream(tenant: string, name: string, version: string, file: StoredFileName): Promise<FileStream | undefined>;
  list(tenant: string, options?: ListOptions): Promise<Page<PrefixInfo>>;
  /** Removes a name with all its versions, at once for every later call. False when there is none. */
  delete(tenant: string, name: string): Promise<boolean>;
}

/** Which file of a version holds its keys and values. */
export function kvFileOf({ kind }: PrefixInfo): StoredFileName {
  return kind === 'soft_prompt' ? KV_FILE : MODEL_FILE;
}

/** The version that begins with the digits `prefix`, or undefined. Throws `prefix_version_ambiguous`. */
export function findVersion(versions: readonly PrefixInfo[], prefix: string): PrefixInfo | undefined {
  const [found, another] = versions.filter(({ version }) => version.startsWith(prefix));
  if (another === undefined) return found;
  throw new PrefixError(
    'prefix_version_ambiguous',
    `name: more than one version begins with ${prefix}; give more digits`,
  );
}
