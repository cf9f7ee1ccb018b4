import { createHash, randomUUID } from 'node:crypto';
import type { Hash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

import { Checkpoint, sourceFiles, TOKENIZER_FILES } from './checkpoint.js';
import { CheckpointError, type Gpt2Config } from './config.js';
import { GRAPHS, type GraphName } from './graphs.js';
import { byteLength, layOut, type WeightPlace, weightSpecs } from './weights.js';

/** Changes whenever a compiled model of an older version must be made anew. */
const FORMAT = 'preamble-model-1';
const MANIFEST_FILE = 'model.json';
export const WEIGHTS_FILE = 'weights.bin';

/** `model.json` of a compiled model: its directory also holds the graphs, `weights.bin` and the tokenizer. */
export interface Manifest {
  readonly format: typeof FORMAT;
  /** Hex sha256 over shape, weights and tokenizer, whatever files and dtype they came in. */
  readonly fingerprint: string;
  readonly config: Gpt2Config;
  readonly weights: readonly WeightPlace[];
  readonly weightBytes: number;
}

/** Told while a checkpoint is compiled: bytes of `weights.bin` written so far, and in all. */
export type CompileProgress = (written: number, total: number) => void;

export interface CompileOptions {
  /** A checkpoint's directory, or that of a compiled model. */
  readonly source: string;
  /** Where compiled models go. */
  readonly cache: string;
  readonly onProgress?: CompileProgress;
}

/**
 * Makes sure that `source` is compiled, and returns the directory of the result.
 * A checkpoint is compiled once for each state of its files (name, size, time of change) and is never written to.
 * The result appears by one rename: whenever the process dies, the next one finds all of it or nothing.
 */
export async function compileModel({ source, cache, onProgress }: CompileOptions): Promise<string> {
  const compiled = await findCompiled({ source, cache });
  if (compiled !== undefined) return compiled;
  const target = path.join(cache, await cacheKey(source));
  const checkpoint = await Checkpoint.open(source);
  await removeAbandonedDrafts(cache);
  const draft = path.join(cache, `.draft-${process.pid}-${randomUUID()}`);
  await fs.mkdir(draft, { recursive: true });
  try {
    await writeModel(checkpoint, draft, onProgress);
    await moveInto(draft, target);
  } finally {
    await fs.rm(draft, { recursive: true, force: true });
  }
  return target;
}

/** The directory of the compiled model if there is one already, the source's own or one in the cache; undefined when it is still to be made. */
export async function findCompiled({ source, cache }: CompileOptions): Promise<string | undefined> {
  if ((await readManifest(source)) !== undefined) return source;
  const target = path.join(cache, await cacheKey(source));
  return (await readManifest(target)) === undefined ? undefined : target;
}

/** The manifest of a compiled model; undefined when the directory holds none. Throws when it is of another version. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  const text = await fs.readFile(path.join(directory, MANIFEST_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const manifest = JSON.parse(text) as Omit<Manifest, 'format'> & { readonly format: string };
  if (!isCurrent(manifest)) {
    throw new CheckpointError(
      `${directory}: compiled as ${manifest.format}, this version needs ${FORMAT}; compile it again`,
    );
  }
  return manifest;
}

function isCurrent(manifest: { readonly format: string }): manifest is Manifest {
  return manifest.format === FORMAT;
}

/** A name for the compiled form of the checkpoint as it is now, without reading its weights. */
async function cacheKey(source: string): Promise<string> {
  const real = await fs.realpath(source);
  const hash = createHash('sha256').update(`${FORMAT}\n${real}\n`);
  for (const file of await sourceFiles(source)) {
    const { size, mtimeMs } = await fs.stat(path.join(source, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return `${path.basename(real)}-${hash.digest('hex').slice(0, 16)}`;
}

async function writeModel(checkpoint: Checkpoint, directory: string, onProgress?: CompileProgress): Promise<void> {
  const { config } = checkpoint;
  const { places, bytes } = layOut(weightSpecs(config));
  const hash = createHash('sha256').update(describe(config));
  await writeWeights(checkpoint, places, bytes, path.join(directory, WEIGHTS_FILE), hash, onProgress);
  for (const name of Object.keys(GRAPHS) as GraphName[]) {
    await fs.writeFile(path.join(directory, name), GRAPHS[name](config, places, WEIGHTS_FILE).toBytes());
  }
  for (const file of TOKENIZER_FILES.filter((name) => checkpoint.files.includes(name))) {
    const content = await fs.readFile(path.join(checkpoint.directory, file));
    hash.update(file).update(content);
    await fs.writeFile(path.join(directory, file), content);
  }
  const manifest: Manifest = {
    format: FORMAT,
    fingerprint: hash.digest('hex'),
    config,
    weights: places,
    weightBytes: bytes,
  };
  await fs.writeFile(path.join(directory, MANIFEST_FILE), `${JSON.stringify(manifest, null, 1)}\n`, { flush: true });
}

/** Streams every weight as float32 to its place, a few megabytes at a time. */
async function writeWeights(
  checkpoint: Checkpoint,
  places: readonly WeightPlace[],
  total: number,
  file: string,
  hash: Hash,
  onProgress: CompileProgress = () => undefined,
): Promise<void> {
  const output = await fs.open(file, 'wx');
  let written = 0;
  try {
    await output.truncate(total);
    for (const place of places) {
      hash.update(`${place.name} ${place.shape.join()}\n`);
      let { offset } = place;
      for await (const values of checkpoint.read(place)) {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        hash.update(bytes);
        await output.write(bytes, 0, bytes.length, offset);
        offset += bytes.length;
        written += bytes.length;
        onProgress(written, total);
      }
      if (offset !== place.offset + byteLength(place)) throw new CheckpointError(`${place.name} ended early`);
    }
    await output.sync();
  } finally {
    await output.close();
  }
}

/** The part of the configuration that changes results, in a fixed order. */
function describe(config: Gpt2Config): string {
  const entries = Object.entries(config).filter(([field]) => field !== 'eosTokenIds');
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Drafts of processes that were killed. */
async function removeAbandonedDrafts(cache: string): Promise<void> {
  const entries = await fs.readdir(cache).catch(() => []);
  for (const entry of entries) {
    const pid = /^\.draft-(\d+)-/.exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await fs.rm(path.join(cache, entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Renames; when another process was first with the same model, theirs stays. */
async function moveInto(draft: string, target: string): Promise<void> {
  try {
    await fs.rename(draft, target);
  } catch (error) {
    if ((await readManifest(target)) !== undefined) return;
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    await fs.rm(target, { recursive: true }); // somebody deleted half of it
    await fs.rename(draft, target);
  }
}
