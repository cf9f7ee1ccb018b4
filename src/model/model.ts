import path from 'node:path';

import type { BaseModel } from '../prefix/kv.js';
import { Runtime } from '../runtime/runtime.js';
import { PackedWeights, Session } from '../runtime/session.js';
import { type CompileOptions, compileModel, type Manifest, readManifest } from './compiled-model.js';
import { CheckpointError } from './config.js';
import type { GraphName } from './graphs.js';
import { mapWeights, Owned } from './mapped-weights.js';
import { OnnxRunner } from './onnx-runner.js';
import { OnnxPrefixEncoder } from './prefix-encoder.js';

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
  // Runs once for an upload: packing for it would only take time, and find what the others have packed.
  const encodeOptions = { initializers: weights.tensors, frugal: true };
  const encode = owned.add(await Session.open(runtime, path.join(directory, 'encode.onnx'), encodeOptions));
  weights.file.releasePages(); // the packed copies are what runs from now on
  return {
    base: baseModel(options.id ?? path.basename(path.resolve(options.source)), manifest),
    runner: owned.add(
      new OnnxRunner(runtime, manifest.config, { uniform, mixed, append }, weights.file, options.slots),
    ),
    encoder: new OnnxPrefixEncoder(runtime, manifest.config, encode, weights.embeddings),
    tokenizerDirectory: directory,
    eosTokenIds: manifest.config.eosTokenIds,
    dispose: () => owned.dispose(),
  };
}

/** What prefixes must know of the model called `id`. */
export function baseModel(id: string, { config, fingerprint }: Manifest): BaseModel {
  const { layers, heads, width, contextLength, vocabularySize } = config;
  return { id, fingerprint, layers, heads, width, contextLength, vocabularySize };
}
