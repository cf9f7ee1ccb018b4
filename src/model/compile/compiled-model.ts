import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

import { elementCount } from '../../runtime/ort/tensor.js';
import type { ModelShape } from '../../prefix/kv.js';
import type { Architecture, Matrix } from '../architecture.js';
import { architectureNamed } from '../architectures.js';
import { CheckpointError } from '../checkpoint-error.js';
import { graphFile } from '../graph-names.js';
import { sourceFiles } from './checkpoint-files.js';
import { ModelCheckpoint } from './model-checkpoint.js';
import { derivedForm, type DerivedPrecision } from './derived-form.js';
import { deriveWeights } from './derived-weights.js';
import { buildDirectory } from './draft.js';
import { type Int8Form, KV_PRECISIONS, type WeightPrecision } from '../precision.js';
import { bytesOf, layOut, type WeightSpan, type WeightSpec } from '../weights.js';
import { knownFingerprint } from './rewritten-models.js';
import { CHAT_TEMPLATE_FILE, tokenizerFiles } from './tokenizer-files.js';
import { widenRows } from './widen-rows.js';

/** Changes whenever a compiled model of an older version must be made anew. */
const FORMAT = 'preamble-model-5';
/** The format before a head that differs from the embeddings was looked for; all else is the same. */
const BEFORE_HEADS = 'preamble-model-4';
/** The format before manifests named an architecture: all were GPT-2, and the other files are the same. */
const GPT2_FORMAT = 'preamble-model-3';
const MANIFEST_FILE = 'model.json';
export const WEIGHTS_FILE = 'weights.bin';

/** `model.json` of a compiled model: its directory also holds the graphs, `weights.bin` and the tokenizer. */
export interface Manifest {
  readonly format: typeof FORMAT;
  /** Hex sha256 over shape, float32 weights and tokenizer, whatever files and dtype they came in; one for all precisions. */
  readonly fingerprint: string;
  readonly precision: WeightPrecision;
  /** Form of 8-bit weights; blocks unless given. */
  readonly int8?: Int8Form;
  /** Name of the model's architecture. */
  readonly architecture: string;
  /** The configuration, which only the architecture reads. */
  readonly config: unknown;
  readonly shape: ModelShape;
  readonly eosTokenIds: readonly number[];
  /** What somebody who starts the model should know of its checkpoint's files, a line each. */
  readonly warnings: readonly string[];
  readonly weights: readonly WeightSpan[];
  readonly weightBytes: number;
}

/** Told while a checkpoint is compiled: bytes of `weights.bin` written so far, and in all. */
export type CompileProgress = (written: number, total: number) => void;

export interface CompileOptions {
  /** A checkpoint's directory, or that of a compiled model. */
  readonly source: string;
  /** Where compiled models go. */
  readonly cache: string;
  /** float32 unless given. The others are derived from it, and kept beside it. */
  readonly weights?: WeightPrecision;
  /** The form that 8-bit weights are derived in; blocks unless given. */
  readonly int8?: Int8Form;
  readonly onProgress?: CompileProgress;
}

/**
 * Makes sure that `source` is compiled, and returns the directory of the result.
 * A checkpoint is compiled once for each state of its files (name, size, time of change) and is never written to; nor is a
 * compiled model when another precision is derived from it. Each result appears by one rename: whenever the process dies,
 * the next one finds all of it or nothing.
 */
export async function compileModel(options: CompileOptions): Promise<string> {
  const { source, cache, weights = 'float32', int8 = 'blocks', onProgress } = options;
  const directory = await compileCheckpoint(options);
  const manifest = (await readManifest(directory)) as Manifest;
  if (manifest.precision === weights) {
    refuseSigned(source, manifest, int8);
    return directory;
  }
  if (manifest.precision !== 'float32') {
    throw new CheckpointError(
      `${source} is compiled with ${manifest.precision} weights, which ${weights} cannot be made from`,
      'weights',
    );
  }
  const target = path.join(cache, await derivedName(directory, manifest, weights, int8));
  await buildModel(target, (draft) =>
    writeDerived(directory, manifest, { precision: weights as DerivedPrecision, int8 }, draft, onProgress),
  );
  return target;
}

/** The directory of the compiled model if there is one already; undefined when it is still to be made. */
export async function findCompiled({
  source,
  cache,
  weights = 'float32',
  int8 = 'blocks',
}: CompileOptions): Promise<string | undefined> {
  const compiled = await readManifest(source);
  const directory = compiled === undefined ? path.join(cache, await cacheKey(source)) : source;
  const manifest = compiled ?? (await readCached(directory));
  if (manifest === undefined || manifest.precision === weights) return manifest && directory;
  const derived = path.join(cache, await derivedName(directory, manifest, weights, int8));
  return (await readCached(derived)) && derived;
}

/** Without VNNI, ONNX Runtime's products with signed weights saturate at 16 bits, and nobody would notice. */
function refuseSigned(source: string, manifest: Manifest, int8: Int8Form): void {
  if (manifest.int8 !== 'signed' || int8 === 'signed') return;
  const problem = 'is compiled with signed int8 weights, for x64 processors with VNNI; this one has none';
  throw new CheckpointError(`${source} ${problem}`, 'weights');
}

/** The float32 model; where `source` is compiled already, that one. */
async function compileCheckpoint({ source, cache, onProgress }: CompileOptions): Promise<string> {
  if ((await readManifest(source)) !== undefined) return source;
  const target = path.join(cache, await cacheKey(source));
  await buildModel(target, async (draft) => writeModel(await ModelCheckpoint.open(source), draft, onProgress));
  return target;
}

async function buildModel(target: string, write: (draft: string) => Promise<void>): Promise<void> {
  const isWhole = async (): Promise<boolean> => (await readCached(target)) !== undefined;
  if (!(await isWhole())) await buildDirectory(target, write, isWhole);
}

/** The manifest of a compiled model; undefined when the directory holds none. Throws when it is of another version. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  const manifest = await readAnyManifest(directory);
  if (manifest === undefined || isCurrent(manifest)) return manifest;
  throw new CheckpointError(
    `${directory}: compiled as ${manifest.format}, this version needs ${FORMAT}; compile it again`,
  );
}

/** As `readManifest`, for a directory of the cache: there, another version's model is made anew. */
async function readCached(directory: string): Promise<Manifest | undefined> {
  const manifest = await readAnyManifest(directory).catch((error: unknown) => {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  });
  return manifest !== undefined && isCurrent(manifest) ? manifest : undefined;
}

interface AnyManifest {
  readonly format: string;
}

async function readAnyManifest(directory: string): Promise<AnyManifest | undefined> {
  const text = await fs.readFile(path.join(directory, MANIFEST_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  return inThisFormat(parseManifest(directory, text));
}

function parseManifest(directory: string, text: string): AnyManifest {
  try {
    const manifest: unknown = JSON.parse(text);
    if (typeof manifest === 'object' && manifest !== null && 'format' in manifest) return manifest as AnyManifest;
  } catch {
    // Refused below.
  }
  throw new CheckpointError(`${directory}: ${MANIFEST_FILE} is damaged; compile the model again`);
}

/** The manifest of an older version as this one writes it, where that is possible. */
function inThisFormat(manifest: AnyManifest): AnyManifest {
  if (manifest.format === BEFORE_HEADS) return { warnings: [], ...manifest, format: FORMAT } as AnyManifest;
  if (manifest.format !== GPT2_FORMAT) return manifest;
  const { config } = manifest as Manifest;
  const gpt2 = architectureNamed('gpt2');
  const read = { architecture: gpt2.name, shape: gpt2.shape(config), eosTokenIds: gpt2.eosTokenIds(config) };
  return { ...manifest, ...read, warnings: [], format: FORMAT } as AnyManifest;
}

function isCurrent(manifest: AnyManifest): manifest is Manifest {
  return manifest.format === FORMAT;
}

/** A name for the compiled form of the checkpoint as it is now, without reading its weights. */
async function cacheKey(source: string): Promise<string> {
  const files = await sourceFiles(source);
  const real = await fs.realpath(source);
  const hash = createHash('sha256').update(`${FORMAT}\n${real}\n`);
  for (const file of files) {
    const { size, mtimeMs } = await fs.stat(path.join(source, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return `${path.basename(real)}-${hash.digest('hex').slice(0, 16)}`;
}

/** The content decides: whatever directory a model was compiled to, what is derived from it is the same. */
async function derivedName(
  directory: string,
  manifest: Manifest,
  weights: WeightPrecision,
  int8: Int8Form,
): Promise<string> {
  const form = weights === 'int8' && int8 !== 'blocks' ? `${weights}-${int8}` : weights;
  const hash = createHash('sha256').update(`${FORMAT}\n${manifest.fingerprint}\n${form}\n`);
  const template = await readIfThere(path.join(directory, CHAT_TEMPLATE_FILE));
  if (template !== undefined) hash.update(template);
  const name = path.basename(await fs.realpath(directory)).replace(/-[0-9a-f]{16}$/, '');
  return `${name}-${form}-${hash.digest('hex').slice(0, 16)}`;
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  return fs.readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function writeModel(checkpoint: ModelCheckpoint, directory: string, onProgress?: CompileProgress): Promise<void> {
  const { architecture, config } = checkpoint;
  const { spans, bytes } = layOut(architecture.compiledWeights(config));
  const hash = createHash('sha256').update(architecture.fingerprintText(config));
  await writeWeights(checkpoint, spans, bytes, path.join(directory, WEIGHTS_FILE), hash, onProgress);
  for (const file of tokenizerFiles(new Set(checkpoint.files))) {
    const content = await fs.readFile(path.join(checkpoint.directory, file));
    if (file !== CHAT_TEMPLATE_FILE) hash.update(file).update(content);
    await fs.writeFile(path.join(directory, file), content);
  }
  const fingerprint = knownFingerprint(hash.digest('hex'));
  await writeGraphsAndManifest(directory, architecture, {
    format: FORMAT,
    fingerprint,
    precision: 'float32',
    architecture: architecture.name,
    config,
    shape: architecture.shape(config),
    eosTokenIds: architecture.eosTokenIds(config),
    warnings: checkpoint.warnings,
    weights: spans,
    weightBytes: bytes,
  });
}

/** The model of `base` with weights of another precision. */
async function writeDerived(
  base: string,
  manifest: Manifest,
  { precision, int8 }: { readonly precision: DerivedPrecision; readonly int8: Int8Form },
  directory: string,
  onProgress?: CompileProgress,
): Promise<void> {
  const [source, target] = [base, directory].map((folder) => path.join(folder, WEIGHTS_FILE)) as [string, string];
  const architecture = architectureNamed(manifest.architecture);
  const matrixOf = (weight: WeightSpec): Matrix | undefined => architecture.matrixOf(weight, manifest.config);
  const sourceWeights = manifest.weights;
  const form = derivedForm(precision, int8);
  const { spans, bytes } = await deriveWeights({ source, sourceWeights, matrixOf, form, target, onProgress });
  for (const file of tokenizerFiles(new Set(await fs.readdir(base)))) {
    await fs.copyFile(path.join(base, file), path.join(directory, file));
  }
  const derived = { ...manifest, precision, ...(precision === 'int8' && { int8 }), weights: spans, weightBytes: bytes };
  await writeGraphsAndManifest(directory, architecture, derived);
}

/** The manifest comes last: a directory that has one has all the rest. */
async function writeGraphsAndManifest(
  directory: string,
  architecture: Architecture,
  manifest: Manifest,
): Promise<void> {
  const source = { config: manifest.config, weights: manifest.weights, weightsFile: WEIGHTS_FILE };
  for (const kv of KV_PRECISIONS) {
    for (const name of architecture.graphs(manifest.config)) {
      const graph = architecture.writeGraph(name, { ...source, kv });
      await fs.writeFile(path.join(directory, graphFile(name, kv)), graph.toBytes());
    }
  }
  await fs.writeFile(path.join(directory, MANIFEST_FILE), `${JSON.stringify(manifest, null, 1)}\n`, { flush: true });
}

/** Streams every weight as float32 to its place, a few megabytes at a time. The fingerprint is of the checkpoint's values: what is added is left out. */
async function writeWeights(
  checkpoint: ModelCheckpoint,
  spans: readonly WeightSpan[],
  total: number,
  file: string,
  hash: Hash,
  onProgress: CompileProgress = () => undefined,
): Promise<void> {
  const output = await fs.open(file, 'wx');
  let written = 0;
  try {
    await output.truncate(total); // zeros, where nothing is written
    for (const [index, spec] of checkpoint.architecture.weights(checkpoint.config).entries()) {
      const span = spans[index] as WeightSpan;
      hash.update(`${spec.name} ${spec.shape.join()}\n`);
      let read = 0;
      for await (const values of checkpoint.read(spec)) {
        hash.update(bytesOf(values));
        const widened = widenRows(values, read, spec.shape.at(-1) as number, span.shape.at(-1) as number);
        const bytes = bytesOf(widened.values);
        await output.write(bytes, 0, bytes.length, span.offset + 4 * widened.at);
        read += values.length;
        written += bytes.length;
        onProgress(written, total);
      }
      if (read !== elementCount(spec.shape)) throw new CheckpointError(`${spec.name} ended early`);
    }
    await output.sync();
  } finally {
    await output.close();
  }
}
