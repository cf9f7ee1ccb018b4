import { setImmediate } from 'node:timers/promises';

import { LRUCache } from 'lru-cache';

import { notePlacement } from './adapter/config.js';
import { checkAdapter, selfBytes } from './adapter/check.js';
import type { Page } from '../lib/page.js';
import { PrefixError, prefixNotFound } from './errors.js';
import { PrefixGrants } from './grants.js';
import {
  type AdapterFileName,
  type AdapterFiles,
  CONFIG_FILE,
  defaultMaxLength,
  TEMPLATE_FILE,
  MODEL_FILE,
  type Placement,
} from './adapter/format.js';
import { KvCache, type KvCacheObserver } from './kv-cache.js';
import { decodeKv, encodeStoredKv, kvAdapter } from './adapter/kv-file.js';
import { type BaseModel, hasEncoder, type PrefixEncoder, type PrefixKv } from './kv.js';
import { checkPrefixName, isAdapterId, isPrefixName, versionId } from './name.js';
import type { PrefixQuota } from './quota.js';
import { type Asker, reshare, rollback, versionFor, type WantedShare } from './shares.js';
import {
  type FileStream,
  kvFileOf,
  type ListOptions,
  type NameState,
  type PrefixDetails,
  type PrefixInfo,
  type PrefixStore,
  type PrefixUpload,
  type PutResult,
  type StoredFileName,
  withInfo,
} from './store.js';
import { checkFiniteKv } from './adapter/values.js';
import { filesVersion, textVersion } from './version.js';

export type { PrefixQuota } from './quota.js';
export type { ListOptions, PrefixDetails, PrefixInfo, PutResult } from './store.js';

/** Chat templates of prefixes in memory, each of at most `MAX_TEMPLATE_BYTES`. */
const MAX_TEMPLATES = 256;

export interface PrefixLibraryDeps {
  /** Store of the same base model. */
  readonly store: PrefixStore;
  readonly base: BaseModel;
  readonly encoder: PrefixEncoder;
  /** Bytes of decoded keys and values kept in memory. */
  readonly cacheBytes: number;
  /** Prefixes that are loaded from the store at the same time, 4 unless given; others wait. */
  readonly maxColdLoads?: number | undefined;
  /** Most virtual tokens of one prefix; half of the model's context unless given. */
  readonly maxLength?: number | undefined;
  /** Observer of the prefixes in memory. */
  readonly observer?: KvCacheObserver;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** An adapter to upload: its files, and the caller's options. */
export interface AdapterUpload extends AdapterFiles {
  readonly name: string;
  /** Undefined: what the config says, and `prefix` where it says nothing. */
  readonly placement?: Placement | undefined;
  /** No warning about the base model's name. */
  readonly force?: boolean | undefined;
  /** As in `PrefixUpload`. */
  readonly standby?: boolean | undefined;
}

/** A text to upload; the caller has tokenized it. */
export interface TextUpload {
  readonly name: string;
  readonly text: string;
  /** Token ids of the base model's vocabulary. */
  readonly tokens: readonly number[];
  /** As in `PrefixUpload`. */
  readonly standby?: boolean | undefined;
}

/** A version that is ready to be served. */
export interface LoadedPrefix {
  readonly info: PrefixInfo;
  readonly kv: PrefixKv;
  /** Where keys and values came from. */
  readonly source: 'memory' | 'store';
  /** Text of its chat template, which is a program of a tenant; undefined if it has none. */
  readonly template: string | undefined;
  /** The version's `versionId`, where it was chosen among several that share the name; undefined: it was not. */
  readonly chosenId: string | undefined;
}

/** How a prefix is asked for, beside its name. */
export interface LoadOptions extends Pick<Asker, 'user'> {
  /** Whose it is; the caller's own unless given. */
  readonly owner?: string | undefined;
}

/**
 * The prefixes of all tenants for one base model: checks and compiles what is uploaded, and holds decoded keys and
 * values in memory. Every method throws `PrefixError`; a name that a tenant does not have is `prefix_not_found`.
 */
export class PrefixLibrary {
  /** Most virtual tokens of one prefix. */
  readonly maxLength: number;
  /** Leave to use prefixes of other tenants. */
  readonly grants: PrefixGrants;
  readonly #cache: KvCache;
  /** Chat templates by version. */
  readonly #templates = new LRUCache<string, string>({ max: MAX_TEMPLATES });
  readonly #now: () => number;

  constructor(private readonly deps: PrefixLibraryDeps) {
    this.#cache = new KvCache(deps.cacheBytes, deps.maxColdLoads ?? 4, deps.observer);
    this.maxLength = deps.maxLength ?? defaultMaxLength(deps.base);
    this.grants = new PrefixGrants(deps.store);
    this.#now = deps.now ?? Date.now;
  }

  /** Bytes of keys and values held in memory. */
  get cachedBytes(): number {
    return this.#cache.bytes;
  }

  /**
   * Stores an adapter as the name's current version or, where it is a standby, as one that answers `name@VERSION` only. The same content
   * under the same name: the version that is there.
   */
  async upload(tenant: string, upload: AdapterUpload, quota?: PrefixQuota): Promise<PutResult> {
    const { name, config, model, template, standby, ...options } = upload;
    this.#checkNewName(name);
    const { base, encoder } = this.deps;
    const checked = checkAdapter({ config, model }, base, { ...options, maxLength: this.maxLength });
    const { toKv, ...properties } = checked;
    const { kind, placement } = properties;
    const files = { config: notePlacement(config, placement), model, template };
    await setImmediate(); // checking and hashing take tens of milliseconds each for a large file
    const version = filesVersion(files, placement);
    const info = this.#info({ name, version, ...properties, ...(template && { template: true }) });
    return this.#putOnce(tenant, info, { quota, standby }, async () => {
      if (kind === 'prefix') return { info, files, standby };
      const kv = await toKv(encoder);
      checkFiniteKv(kv);
      return { info, files, kv: encodeStoredKv(kv, base), standby };
    });
  }

  /** Compiles a text and stores it, as an adapter that PEFT can load, as `upload` does. */
  async uploadText(
    tenant: string,
    { name, text, tokens, standby }: TextUpload,
    quota?: PrefixQuota,
  ): Promise<PutResult> {
    this.#checkNewName(name);
    this.#checkText(tokens);
    const version = textVersion(text);
    const numVirtualTokens = tokens.length;
    const bytes = selfBytes(numVirtualTokens, this.deps.base);
    const info = this.#info({
      name,
      version,
      kind: 'text',
      placement: 'prefix',
      numVirtualTokens,
      bytes,
      warnings: [],
    });
    return this.#putOnce(tenant, info, { quota, standby }, async () => {
      const kv = await this.deps.encoder.encodeTokens(tokens);
      checkFiniteKv(kv);
      return { info, files: kvAdapter(kv, this.deps.base), text, standby };
    });
  }

  /**
   * Keys and values of the version that the name's shares give to the user, or of the one whose version begins with `version` (12 to 64 hex
   * digits). The name is resolved in the store each time, so a deleted one, or one that is not granted any more, is gone at once; a
   * version's content never changes and comes from memory where it can.
   */
  async load(
    tenant: string,
    name: string,
    version?: string,
    { owner = tenant, user }: LoadOptions = {},
  ): Promise<LoadedPrefix> {
    const isOwn = owner === tenant;
    const details = await (isOwn
      ? this.get(tenant, name, version)
      : this.grants.find(tenant, { owner, name }, version));
    const isChosen = version === undefined && details.shares !== undefined;
    const info = isChosen ? withInfo(details, versionFor(details, owner, { tenant, user })) : details;
    const key = `${owner}/${name}@${info.version}`;
    const source = this.#cache.has(key) ? 'memory' : 'store';
    const kv = await this.#cache.getOrLoad(key, async () =>
      decodeKv(await this.#read(owner, info, kvFileOf(info)), this.deps.base),
    );
    const chosenId = isChosen ? versionId(owner, info) : undefined;
    return { info, kv, source, template: await this.#templateOf(key, owner, info), chosenId };
  }

  /** Description of a version, chosen as in `load`, and of all versions of the name. */
  async get(tenant: string, name: string, version?: string): Promise<PrefixDetails> {
    const details = isPrefixName(name) ? await this.deps.store.get(tenant, name, version) : undefined;
    return details ?? notFound(version === undefined ? name : `${name}@${version}`);
  }

  /** The name that a request's `model` means: an adapter's id that is not a name itself stands for its name. */
  async nameOf(tenant: string, model: string): Promise<string> {
    if (!isAdapterId(model)) return model;
    return (await this.deps.store.nameOf(tenant, model)) ?? notFound(model);
  }

  /** Current versions of the tenant's names, in the store's order. */
  async list(tenant: string, options?: ListOptions): Promise<Page<PrefixInfo>> {
    return this.deps.store.list(tenant, options);
  }

  /** One of an adapter's files, of a version chosen as in `load`. Throws `prefix_not_found` for a template that it does not have. */
  async file(tenant: string, name: string, file: AdapterFileName, version?: string): Promise<FileStream> {
    const info = await this.get(tenant, name, version);
    return (await this.deps.store.stream(tenant, info.name, info.version, file)) ?? notFound(name);
  }

  /** The files of an adapter, of one version. */
  async files(tenant: string, name: string, version?: string): Promise<AdapterFiles> {
    const info = await this.get(tenant, name, version);
    const [config, model, template] = await Promise.all([
      this.#read(tenant, info, CONFIG_FILE),
      this.#read(tenant, info, MODEL_FILE),
      info.template ? this.#read(tenant, info, TEMPLATE_FILE) : undefined,
    ]);
    return { config, model, template };
  }

  /**
   * Divides a name's requests among its versions (`reshare`).
   * @throws PrefixError `shares_invalid`
   */
  async setShares(tenant: string, name: string, wanted: readonly WantedShare[]): Promise<PrefixDetails> {
    return this.#update(tenant, name, (details) => reshare(details, wanted));
  }

  /**
   * Undoes the last change of a name's shares: by an upload, `setShares` or this.
   * @throws PrefixError `no_previous_shares`
   */
  async rollback(tenant: string, name: string): Promise<PrefixDetails> {
    return this.#update(tenant, name, rollback);
  }

  /** Removes a name with all its versions and grants. What was loaded before stays valid for those who hold it. */
  async delete(tenant: string, name: string): Promise<void> {
    const details = isPrefixName(name) ? await this.#detailsUnlessDamaged(tenant, name) : undefined;
    const existed = isPrefixName(name) && (await this.deps.store.delete(tenant, name));
    if (!existed) notFound(name);
    await this.grants.forget(tenant, name, details?.grants?.tenants ?? []);
  }

  async #update(tenant: string, name: string, change: (details: PrefixDetails) => NameState): Promise<PrefixDetails> {
    return (isPrefixName(name) ? await this.deps.store.update(tenant, name, change) : undefined) ?? notFound(name);
  }

  /** The details of a name; undefined also where they are damaged: such a name can be deleted too. */
  async #detailsUnlessDamaged(tenant: string, name: string): Promise<PrefixDetails | undefined> {
    try {
      return await this.deps.store.get(tenant, name);
    } catch (error) {
      if (error instanceof PrefixError) return undefined;
      throw error;
    }
  }

  /** Builds and stores an upload, unless the name has that version already, and whole. */
  async #putOnce(
    tenant: string,
    info: PrefixInfo,
    { quota, standby }: { readonly quota: PrefixQuota | undefined; readonly standby: boolean | undefined },
    build: () => Promise<PrefixUpload>,
  ): Promise<PutResult> {
    const { store } = this.deps;
    const { name, version } = info;
    const isThere = await store.isWhole(tenant, name, version);
    const stored = isThere && standby ? await store.get(tenant, name, version) : undefined;
    const found = stored?.versions.find((other) => other.version === version);
    const record = isThere && !standby ? await store.promote(tenant, name, version) : found;
    return record ? { record, created: false } : store.put(tenant, await build(), quota);
  }

  #info(known: Omit<PrefixInfo, 'created' | 'baseModel'>): PrefixInfo {
    return { ...known, created: Math.floor(this.#now() / 1000), baseModel: this.deps.base.id };
  }

  #checkNewName(name: string): void {
    checkPrefixName(name);
    if (name === this.deps.base.id) {
      throw new PrefixError('prefix_name_reserved', `name: ${name} is the base model's id`);
    }
  }

  #checkText({ length }: readonly number[]): void {
    const { base } = this.deps;
    if (hasEncoder(base)) {
      throw new PrefixError(
        'text_unsupported',
        `text: ${base.id} is an encoder-decoder; a text is no prefix of one, because its keys and values depend on the source`,
      );
    }
    if (length < 1) throw new PrefixError('text_empty', 'text: has no tokens');
    if (length > this.maxLength) {
      throw new PrefixError('text_too_long', `text: ${length} tokens; at most ${this.maxLength} are accepted`);
    }
  }

  /** @param key names the version among all tenants' */
  async #templateOf(key: string, tenant: string, info: PrefixInfo): Promise<string | undefined> {
    if (!info.template) return undefined;
    const known = this.#templates.get(key);
    if (known !== undefined) return known;
    const text = new TextDecoder().decode(await this.#read(tenant, info, TEMPLATE_FILE));
    this.#templates.set(key, text);
    return text;
  }

  /** A version that was found and is gone: the name was deleted in between. */
  async #read(tenant: string, { name, version }: PrefixInfo, file: StoredFileName): Promise<Uint8Array> {
    return (await this.deps.store.read(tenant, name, version, file)) ?? notFound(name);
  }
}

function notFound(name: string): never {
  throw prefixNotFound(name);
}
