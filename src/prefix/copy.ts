import { PrefixError } from './errors.js';
import { CONFIG_FILE, MODEL_FILE, TEMPLATE_FILE } from './adapter/format.js';
import { allTo } from './shares.js';
import { KV_FILE, type PrefixInfo, type PrefixStore, type PrefixUpload } from './store.js';
import { fileSums, type FileSums, filesVersion, textVersion } from './version.js';

/** One tenant's prefixes for one base model. */
export interface Partition {
  /** First 16 hex digits of the base model's fingerprint. */
  readonly fingerprint: string;
  /** The tenant's key. */
  readonly tenant: string;
}

/** A store that gives back all of what was put, for a base model. */
export interface CopyableStore extends PrefixStore {
  /** The text of a text prefix; undefined for others. */
  readText(tenant: string, name: string, version: string): Promise<string | undefined>;
  /** Sums of a version's files, taken when it was put; undefined where there are none. */
  readSums(tenant: string, name: string, version: string): Promise<FileSums | undefined>;
}

/** Prefixes of all base models and tenants in one place. */
export interface PrefixArchive {
  partitions(): Promise<readonly Partition[]>;
  /** @param fingerprint of a partition */
  open(fingerprint: string): Promise<CopyableStore>;
}

/** Counts of a copy's work. */
export interface CopyCounts {
  readonly names: number;
  /** Versions that were copied. */
  readonly copied: number;
  /** Versions that were in the target already, undamaged. */
  readonly skipped: number;
  /** Names of which something could not be copied. */
  readonly failed: number;
}

export interface CopyOptions {
  readonly onProgress?: (counts: CopyCounts) => void;
  /** Told of each name that failed; the others are copied. */
  readonly onFailure?: (partition: Partition, name: string, error: PrefixError) => void;
}

const PAGE = 100;

/**
 * Copies every prefix that is not there yet, or is damaged there, oldest version first, and lets each name stand for what it stands for
 * in `from`, with its shares and grants. Doing it again goes on where it was cut off. What is copied is checked: its content against its version, and what was stored against what was read.
 */
export async function copyPrefixes(
  from: PrefixArchive,
  to: PrefixArchive,
  { onProgress, onFailure }: CopyOptions = {},
): Promise<CopyCounts> {
  const counts = { names: 0, copied: 0, skipped: 0, failed: 0 };
  for (const partition of await from.partitions()) {
    const [source, target] = [await from.open(partition.fingerprint), await to.open(partition.fingerprint)];
    for await (const name of namesOf(source, partition.tenant)) {
      try {
        await copyName(source, target, partition.tenant, name, counts);
      } catch (error) {
        if (!(error instanceof PrefixError)) throw error;
        counts.failed++;
        onFailure?.(partition, name, error);
      }
      counts.names++;
      onProgress?.(counts);
    }
  }
  return counts;
}

/** Every name of a tenant, page by page. */
export async function* namesOf(store: PrefixStore, tenant: string): AsyncGenerator<string> {
  for (let after: string | undefined, more = true; more;) {
    const page = await store.list(tenant, { limit: PAGE, after });
    for (const { name } of page.data) yield name;
    after = page.data.at(-1)?.name;
    more = page.hasMore;
  }
}

async function copyName(
  from: CopyableStore,
  to: CopyableStore,
  tenant: string,
  name: string,
  counts: { copied: number; skipped: number },
): Promise<void> {
  const source = await from.get(tenant, name);
  if (source === undefined) return; // deleted meanwhile
  for (const info of [...source.versions].reverse()) {
    if (await to.isWhole(tenant, name, info.version)) counts.skipped++;
    else if (await copyVersion(from, to, tenant, info)) counts.copied++;
  }
  const { version, shares = allTo(version), previous, grants } = source;
  for (const other of grants?.tenants ?? []) await to.noteOffer(other, { owner: grants?.owner ?? '', name }, true);
  await to.update(tenant, name, () => ({ shares, previous, grants }));
}

/** False when the version was deleted meanwhile. */
async function copyVersion(from: CopyableStore, to: CopyableStore, tenant: string, info: PrefixInfo): Promise<boolean> {
  // Sums first: of a version that is deleted in between, nothing is read after them.
  const sums = await from.readSums(tenant, info.name, info.version);
  const upload = await readUpload(from, tenant, info);
  if (upload === undefined) return false;
  if (sums === undefined) damaged(info, 'has no sums of its files');
  const found: Readonly<Record<string, string>> = fileSums(upload);
  for (const [file, sum] of Object.entries(sums)) {
    if (found[file] !== sum) damaged(info, `has a damaged ${file}`);
  }
  if (versionOf(upload) !== info.version) damaged(info, 'is not what its version says');
  await to.put(tenant, upload);
  const stored = await readUpload(to, tenant, info);
  if (stored === undefined || !isSame(stored, upload)) damaged(info, 'was not stored as it was read');
  return true;
}

async function readUpload(store: CopyableStore, tenant: string, info: PrefixInfo): Promise<PrefixUpload | undefined> {
  const { name, version } = info;
  const [config, model, template, kv, text] = await Promise.all([
    store.read(tenant, name, version, CONFIG_FILE),
    store.read(tenant, name, version, MODEL_FILE),
    store.read(tenant, name, version, TEMPLATE_FILE),
    store.read(tenant, name, version, KV_FILE),
    store.readText(tenant, name, version),
  ]);
  return config && model && { info, files: { config, model, template }, kv, text };
}

function versionOf({ info, files, text }: PrefixUpload): string {
  return info.kind === 'text' ? textVersion(text ?? '') : filesVersion(files, info.placement);
}

function isSame(a: PrefixUpload, b: PrefixUpload): boolean {
  const pairs = [
    [a.files.config, b.files.config],
    [a.files.model, b.files.model],
    [a.files.template ?? new Uint8Array(), b.files.template ?? new Uint8Array()],
    [a.kv ?? new Uint8Array(), b.kv ?? new Uint8Array()],
  ] as const;
  return a.text === b.text && pairs.every(([one, other]) => Buffer.compare(one, other) === 0);
}

function damaged({ version }: PrefixInfo, problem: string): never {
  throw new PrefixError('prefix_damaged', `name: version ${version.slice(0, 12)} ${problem}`);
}
