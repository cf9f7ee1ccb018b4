import path from 'node:path';

import type { BaseModel } from '../prefix/kv.js';
import { type MappedFile, mapFile } from '../runtime/mapped-file.js';
import { Runtime } from '../runtime/runtime.js';
import { PackedWeights, Session } from '../runtime/session.js';
import { Tensor } from '../runtime/tensor.js';
import { type CompileOptions, compileModel, type Manifest, readManifest, WEIGHTS_FILE } from './compiled-model.js';
import { CheckpointError } from './config.js';
import type { GraphName } from './graphs.js';
import { OnnxRunner } from './onnx-runner.js';
import { OnnxPrefixEncoder } from './prefix-encoder.js';
import { byteLength } from './weights.js';

/** Where the graphs run. */
export type Provider = 'cpu' | 'cuda' | 'webgpu';

export interface OpenModelOptions extends CompileOptions {
  /** The base model's id; the source directory's name unless given. */
  readonly id?: string;
  /** Sequences that decode together. */
  readonly slots: number;
  /** Threads inside one step. */
  readonly threads: number;
  readonly provider?: Provider;
}

/** An open model: what serves it, and what it is. */
export interface Model {
  readonly base: BaseModel;
  readonly runner: OnnxRunner;
  readonly encoder: OnnxPrefixEncoder;
  /** Holds `tokenizer.json`. */
  readonly tokenizerDirectory: string;
  readonly eosTokenIds: readonly number[];
  /** Waits for the run in flight, then releases everything. */
  dispose(): Promise<void>;
}

/** Compiles the model if that is needed, and opens it. Throws `CheckpointError` for a source that cannot be served. */
export async function openModel(options: OpenModelOptions): Promise<Model> {
  const { provider = 'cpu' } = options;
  if (provider !== 'cpu') throw new CheckpointError(`provider ${provider} is not in this version; use cpu`);
  const directory = await compileModel(options);
  const manifest = (await readManifest(directory)) as Manifest;
  const owned = new Owned();
  try {
    return await load(directory, manifest, options, owned);
  } catch (error) {
    await owned.dispose();
    throw error;
  }
}

async function load(directory: string, manifest: Manifest, options: OpenModelOptions, owned: Owned): Promise<Model> {
  const runtime = owned.add(new Runtime({ threads: options.threads }));
  const weights = mapWeights(runtime, directory, manifest, owned);
  const sessionOptions = { initializers: weights.tensors, packedWeights: owned.add(new PackedWeights(runtime)) };
  const open = async (name: GraphName): Promise<Session> =>
    owned.add(await Session.open(runtime, path.join(directory, name), sessionOptions));
  // One after another: each finds the weights that the ones before have packed.
  const uniform = await open('uniform.onnx');
  const mixed = await open('mixed.onnx');
  const append = await open('append.onnx');
  const encode = await open('encode.onnx');
  weights.file.releasePages(); // the packed copies are what runs from now on
  return {
    base: baseModel(options.id ?? path.basename(path.resolve(options.source)), manifest),
    runner: owned.add(new OnnxRunner(runtime, manifest.config, { uniform, mixed, append }, options.slots)),
    encoder: new OnnxPrefixEncoder(runtime, manifest.config, encode, weights.embeddings),
    tokenizerDirectory: directory,
    eosTokenIds: manifest.config.eosTokenIds,
    dispose: () => owned.dispose(),
  };
}

/** Native things in the order in which they were made; released in the opposite one. */
class Owned {
  readonly #things: { dispose(): void | Promise<void> }[] = [];

  add<T extends { dispose(): void | Promise<void> }>(thing: T): T {
    this.#things.push(thing);
    return thing;
  }

  async dispose(): Promise<void> {
    for (let thing = this.#things.pop(); thing !== undefined; thing = this.#things.pop()) await thing.dispose();
  }
}

interface MappedWeights {
  readonly file: MappedFile;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** `[vocabulary, width]`. */
  readonly embeddings: Float32Array;
}

/** The compiled weights in memory, one tensor each: every session uses the same ones. */
function mapWeights(runtime: Runtime, directory: string, manifest: Manifest, owned: Owned): MappedWeights {
  const file = mapFile(runtime, path.join(directory, WEIGHTS_FILE));
  owned.add(file.memory);
  if (file.memory.bytes !== manifest.weightBytes) {
    throw new CheckpointError(
      `${directory}: ${WEIGHTS_FILE} has ${file.memory.bytes} bytes, not ${manifest.weightBytes}`,
    );
  }
  const tensors = new Map(
    manifest.weights.map(({ name, shape, offset }) => [
      name,
      owned.add(new Tensor(runtime, 'float32', shape, file.memory, offset)),
    ]),
  );
  const wte = manifest.weights.find(({ name }) => name === 'wte.weight');
  if (wte === undefined) throw new CheckpointError(`${directory}: no wte.weight`);
  return { file, tensors, embeddings: file.memory.float32(wte.offset, byteLength(wte) / 4) };
}

function baseModel(id: string, { config, fingerprint }: Manifest): BaseModel {
  const { layers, heads, width, contextLength, vocabularySize } = config;
  return { id, fingerprint, layers, heads, width, contextLength, vocabularySize };
}
