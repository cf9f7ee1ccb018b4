import type { Redis } from 'ioredis';

import { firstPage, type Page } from '../../lib/page.js';
import { StoreError } from '../../lib/store-error.js';
import type { CopyableStore } from '../../prefix/copy.js';
import { PrefixError } from '../../prefix/errors.js';
import { adapterId, nameKey } from '../../prefix/name.js';
import { checkQuota, type PrefixQuota } from '../../prefix/quota.js';
import { firstStandby } from '../../prefix/shares.js';
import {
  type FileStream,
  type ForeignPrefix,
  type ListOptions,
  type NameState,
  type PrefixDetails,
  type PrefixInfo,
  type PrefixUpload,
  type PutResult,
  type StoredFileName,
} from '../../prefix/store.js';
import type { FileSums } from '../../prefix/version.js';
import type { RedisConnection } from '../connection.js';
import { redisFailure } from '../errors.js';
import { asStoreError } from '../store-error.js';
import { FileDamagedError, type FileLayout, pieceKeys, type Pieces } from '../pieces.js';
import { encodeChange } from './changes.js';
import { CHANGES_CHANNEL, PrefixKeys, TENANTS_KEY } from './keys.js';
import {
  decodeEntry,
  detailsOf,
  entryUnlessDamaged,
  type RedisFileName,
  TEXT_FILE,
  undamagedEntries,
  type VersionEntry,
} from './record.js';
import { draftOf, VersionFiles } from './version-files.js';
import { noteOffer, readOffers } from './offers.js';
import { addVersion, ALL_BUCKETS, deleteName, findName, promoteVersion, repairVersion } from './scripts.js';
import { updateState } from './update-state.js';

/** Names whose records a listing reads at a time. */
const LIST_BATCH = 100;
/** Attempts to store a version that keeps changing. */
const PUT_ATTEMPTS = 3;
/** Attempts to delete a name that keeps changing. */
const DELETE_ATTEMPTS = 20;

/**
 * Prefixes on Redis, for any number of processes; keys are in `keys.ts`. An upload writes its files in pieces that
 * expire, then commits them with one script. A process or a Redis that dies at any point leaves the old state or the
 * new one. Answered uploads are as durable as Redis is configured to be. Throws `StoreError` when Redis cannot serve.
 */
export class RedisPrefixStore implements CopyableStore {
  readonly #client: Redis;
  readonly #pieces: Pieces;
  readonly #files: VersionFiles;
  readonly #fingerprint: string;

  /** @param fingerprint the base model's fingerprint, or its first 16 digits */
  constructor({ client, pieces }: Pick<RedisConnection, 'client' | 'pieces'>, fingerprint: string) {
    this.#client = client;
    this.#pieces = pieces;
    this.#files = new VersionFiles({ client, pieces });
    this.#fingerprint = fingerprint.slice(0, 16);
  }

  async put(tenant: string, upload: PrefixUpload, quota: PrefixQuota = {}): Promise<PutResult> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      for (let attempt = 0; attempt < PUT_ATTEMPTS; attempt++) {
        const damaged = await this.#findText(keys, upload.info.name, upload.info.version);
        const known = await this.#wholeEntry(keys, damaged);
        const standby = upload.standby ?? false;
        const record = known && (standby ? known.info : await this.#promote(keys, known.info));
        if (record) return { record, created: false };
        const done = await this.#write(keys, upload, (entry) =>
          damaged === null ? this.#commit(keys, entry, standby, quota) : this.#repair(keys, entry, standby, damaged),
        );
        if (done) return done;
      }
      throw new StoreError('prefixes', 'too_slow');
    });
  }

  async isWhole(tenant: string, name: string, version: string): Promise<boolean> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      const text = await this.#findText(keys, name, version);
      return (await this.#wholeEntry(keys, text)) !== undefined;
    });
  }

  async promote(tenant: string, name: string, version: string): Promise<PrefixInfo | undefined> {
    const keys = this.#keys(tenant);
    return translated(() => this.#promote(keys, { name, version }));
  }

  async get(tenant: string, name: string, version?: string): Promise<PrefixDetails | undefined> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      const hash = await this.#client.hgetall(keys.record(name));
      return hash['current'] === undefined ? undefined : detailsOf(hash, version);
    });
  }

  async update(
    tenant: string,
    name: string,
    change: (details: PrefixDetails) => NameState,
  ): Promise<PrefixDetails | undefined> {
    return translated(() => updateState(this.#client, this.#keys(tenant), name, change));
  }

  async offers(tenant: string): Promise<readonly ForeignPrefix[]> {
    return translated(() => readOffers(this.#client, this.#keys(tenant)));
  }

  async noteOffer(tenant: string, prefix: ForeignPrefix, isOffered: boolean): Promise<void> {
    return translated(() => noteOffer(this.#client, this.#keys(tenant), prefix, isOffered));
  }

  async nameOf(tenant: string, id: string): Promise<string | undefined> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      const name = await findName.run(this.#client, [keys.names, keys.ids], [id, nameKey(id)]);
      return typeof name === 'string' ? name : undefined;
    });
  }

  async read(tenant: string, name: string, version: string, file: StoredFileName): Promise<Uint8Array | undefined> {
    return this.#readFile(this.#keys(tenant), name, version, file);
  }

  async stream(tenant: string, name: string, version: string, file: StoredFileName): Promise<FileStream | undefined> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      const found = await this.#findFile(keys, name, version, file);
      return found && this.#pieces.stream(keys, found.draft, found.layout, asPrefixError);
    });
  }

  /** The source text of a text prefix; undefined for other kinds. */
  async readText(tenant: string, name: string, version: string): Promise<string | undefined> {
    const bytes = await this.#readFile(this.#keys(tenant), name, version, TEXT_FILE);
    return bytes && new TextDecoder().decode(bytes);
  }

  async readSums(tenant: string, name: string, version: string): Promise<FileSums | undefined> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      const entry = await this.#findEntry(keys, name, version);
      if (!entry) return undefined;
      const files = Object.entries(entry.files).filter(([file]) => file !== TEXT_FILE);
      return Object.fromEntries(files.map(([file, { sha256 }]) => [file, sha256]));
    });
  }

  async list(tenant: string, { limit = Infinity, after }: ListOptions = {}): Promise<Page<PrefixInfo>> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      const data: PrefixInfo[] = [];
      let from = after === undefined ? '-' : `(${nameKey(after)}`;
      // One more than asked for tells whether there is another page. A name may vanish before its record is read.
      for (let more = true; more && data.length <= limit;) {
        const count = Math.min(LIST_BATCH, limit + 1 - data.length);
        const names = await this.#client.zrangebylex(keys.names, from, '+', 'LIMIT', 0, count);
        data.push(...(await this.#readCurrent(keys, names)));
        from = `(${names.at(-1) ?? ''}`;
        more = names.length === count;
      }
      return firstPage(data, limit);
    });
  }

  async delete(tenant: string, name: string): Promise<boolean> {
    const keys = this.#keys(tenant);
    return translated(async () => {
      for (let attempt = 0; attempt < DELETE_ATTEMPTS; attempt++) {
        const hash = await this.#client.hgetall(keys.record(name));
        if (hash['draft'] === undefined) return false;
        const entries = undamagedEntries(hash);
        const pieces = entries.flatMap((entry) => pieceKeys(keys, entry.draft, entry.pieces));
        const bytes = entries.reduce((sum, { info }) => sum + info.bytes, 0);
        const touched = [keys.names, keys.record(name), keys.bytes, keys.ids, ...pieces];
        const change = [CHANGES_CHANNEL, encodeChange(keys, name)];
        const args = [nameKey(name), hash['draft'], bytes, ...change, adapterId(tenant, name)];
        if (await deleteName.run(this.#client, touched, args)) return true;
      }
      throw new StoreError('prefixes', 'too_slow');
    });
  }

  async #promote(
    keys: PrefixKeys,
    { name, version }: Pick<PrefixInfo, 'name' | 'version'>,
  ): Promise<PrefixInfo | undefined> {
    const args = [version, CHANGES_CHANNEL, encodeChange(keys, name, version), ALL_BUCKETS];
    const entry = await promoteVersion.run(this.#client, [keys.record(name)], args);
    return typeof entry === 'string' ? decodeEntry(entry).info : undefined;
  }

  /** Writes the pieces of an upload and then runs `commit`, or drops them again. */
  async #write<T>(keys: PrefixKeys, upload: PrefixUpload, commit: (entry: VersionEntry) => Promise<T>): Promise<T> {
    const draft = draftOf(upload);
    const { entry } = draft;
    try {
      await this.#files.write(keys, draft);
      // Before the commit: a tenant without names does no harm, names without a tenant would not be found.
      await this.#client.sadd(TENANTS_KEY, `${this.#fingerprint} ${keys.tenant}`);
      return await commit(entry);
    } catch (error) {
      // A commit without an answer may still happen, and then needs the pieces.
      if (redisFailure(error) !== 'unavailable') await this.#files.drop(keys, entry);
      throw error;
    }
  }

  async #commit(keys: PrefixKeys, entry: VersionEntry, standby: boolean, quota: PrefixQuota): Promise<PutResult> {
    const { info, draft, pieces } = entry;
    const touched = [keys.names, keys.record(info.name), keys.bytes, keys.ids, ...pieceKeys(keys, draft, pieces)];
    const limits = [quota.maxPrefixes ?? '', quota.maxBytes ?? ''];
    const change = [CHANGES_CHANNEL, encodeChange(keys, info.name, info.version)];
    const version = [nameKey(info.name), info.version, JSON.stringify(entry), info.bytes, draft];
    const args = [...version, ...limits, ...change, adapterId(keys.tenant, info.name), info.name];
    args.push(standby ? 1 : 0, ALL_BUCKETS);
    const [result, ...more] = (await addVersion.run(this.#client, touched, args)) as [string, ...unknown[]];
    if (result === 'added') return { record: info, created: true };
    if (result === 'known') return { record: decodeEntry(String(more[0])).info, created: false };
    const [prefixes, bytes, grows] = more.map(Number) as [number, number, number];
    if (result === 'first') throw firstStandby();
    if (result === 'quota') checkQuota({ prefixes, bytes }, { prefixes: grows, bytes: info.bytes }, quota);
    throw new StoreError('prefixes', 'too_slow');
  }

  /** Puts an upload in the place of a damaged entry; undefined when that has changed meanwhile. */
  async #repair(
    keys: PrefixKeys,
    entry: VersionEntry,
    standby: boolean,
    damaged: string,
  ): Promise<PutResult | undefined> {
    const [old] = entryUnlessDamaged(damaged);
    const repaired = { ...entry, info: old?.info ?? entry.info };
    const { info, draft, pieces } = repaired;
    const oldPieces = old ? pieceKeys(keys, old.draft, old.pieces) : [];
    const touched = [keys.record(info.name), ...pieceKeys(keys, draft, pieces), ...oldPieces];
    const change = [CHANGES_CHANNEL, encodeChange(keys, info.name, info.version)];
    const how = [standby ? 1 : 0, ALL_BUCKETS];
    const args = [info.version, damaged, JSON.stringify(repaired), draft, pieces, ...change, ...how];
    const result = await repairVersion.run(this.#client, touched, args);
    if (result === 'repaired') return { record: info, created: false };
    await this.#files.drop(keys, entry);
    return undefined;
  }

  async #readCurrent(keys: PrefixKeys, names: readonly string[]): Promise<PrefixInfo[]> {
    const current = await Promise.all(names.map((key) => this.#client.hget(keys.recordOf(key), 'current')));
    // A damaged name must not hide the others.
    return current.flatMap((text) => entryUnlessDamaged(text ?? '')).map(({ info }) => info);
  }

  async #readFile(
    keys: PrefixKeys,
    name: string,
    version: string,
    file: RedisFileName,
  ): Promise<Uint8Array | undefined> {
    return translated(async () => {
      const find = (): Promise<FoundFile | undefined> => this.#findFile(keys, name, version, file);
      const found = await find();
      if (!found) return undefined;
      try {
        return await this.#pieces.readAll(keys, found.draft, found.layout);
      } catch (error) {
        if (error instanceof FileDamagedError && (await find())?.draft !== found.draft) return undefined;
        throw error;
      }
    });
  }

  async #findFile(
    keys: PrefixKeys,
    name: string,
    version: string,
    file: RedisFileName,
  ): Promise<FoundFile | undefined> {
    const entry = await this.#findEntry(keys, name, version);
    const layout = entry?.files[file];
    return layout && { draft: entry.draft, layout };
  }

  async #findEntry(keys: PrefixKeys, name: string, version: string): Promise<VersionEntry | undefined> {
    const text = await this.#findText(keys, name, version);
    return text === null ? undefined : decodeEntry(text);
  }

  #findText(keys: PrefixKeys, name: string, version: string): Promise<string | null> {
    return this.#client.hget(keys.record(name), `v:${version}`);
  }

  /** Decodes an entry of which every file is whole. Reads all of them. */
  async #wholeEntry(keys: PrefixKeys, text: string | null): Promise<VersionEntry | undefined> {
    const [entry] = text === null ? [] : entryUnlessDamaged(text);
    return entry && (await this.#files.areWhole(keys, entry)) ? entry : undefined;
  }

  #keys(tenant: string): PrefixKeys {
    return new PrefixKeys(this.#fingerprint, tenant);
  }
}

/** Location of a file of a version. */
interface FoundFile {
  readonly draft: string;
  readonly layout: FileLayout;
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asPrefixError(error);
  }
}

/** A failure of Redis, or a damaged file, as an error of `PrefixStore`; any other error as it is. */
function asPrefixError(error: unknown): unknown {
  if (error instanceof FileDamagedError) return new PrefixError('prefix_damaged', `name: ${error.message}`);
  return asStoreError('prefixes', error);
}
