import path from 'node:path';

import type { GenerationConfig } from '../engine/generation-config.js';
import { type BaseModel, type PrefixEncoder, slotSite } from '../prefix/kv.js';
import { ProviderError } from '../runtime/errors.js';
import { type Provider, requireProvider } from '../runtime/ort/provider.js';
import { Runtime } from '../runtime/ort/runtime.js';
import type { Session } from '../runtime/ort/session.js';
import { type CompileOptions, compileModel, type Manifest, readManifest } from './compile/compiled-model.js';
import { architectureNamed } from './architectures.js';
import type { Backend, BackendParts } from './backend/backend.js';
import { DisposableStack } from './backend/disposable-stack.js';
import { mapWeights, type MappedWeights } from './backend/mapped-weights.js';
import { type MemoryKind, openBackend } from './backend/open-backend.js';
import type { CrossForm } from './cross-attention.js';
import { encodeNames, graphFile, stepGraph } from './graph-names.js';
import { isFusedExact } from './cross-check.js';
import { LateGraph } from './late-graph.js';
import { OnnxRunner } from './onnx-runner.js';
import { openSources } from './open-sources.js';
import { openPackedFile, type PackedFile } from './packed/packed-file.js';
import type { KvPrecision } from './precision.js';
import { NO_PREFIX_ENCODER, OnnxPrefixEncoder } from './prefix-encoder.js';
import { slotPositions } from './slot-positions.js';
import { StepBuffers } from './step-buffers.js';
import { maxTokensOf } from './step-check.js';
import { limitContext } from './slot-memory.js';
import { MAX_ROW_TOKENS } from './step-layout.js';

export interface OpenModelOptions extends CompileOptions {
  /** The base model's id; the source directory's name unless given. */
  readonly id?: string;
  /** Sequences that decode together. */
  readonly slots: number;
  /** Positions of a sequence, of a decoder-only model; those of the checkpoint unless given, and at most so many. */
  readonly maxLength?: number | undefined;
  /** Threads inside one step. */
  readonly threads: number;
  /** Whether threads that wait for the next operator spin; true unless given. */
  readonly spin?: boolean;
  /** Where the graphs run; the CPU unless given. */
  readonly provider?: Provider;
  /** float32 unless given. */
  readonly kv?: KvPrecision;
  /** Whether packed weights are kept in the cache, for all processes of the machine to map; false unless given. */
  readonly savePacked?: boolean;
  /** How an encoder-decoder's cross-attention is computed: fused where that is exact, unless given. */
  readonly crossAttention?: CrossForm;
  /** Another kind of memory than the provider has: with the CPU, what a device does can be tried without one. */
  readonly memory?: MemoryKind;
}

/** A model that is open for serving. */
export interface Model {
  readonly base: BaseModel;
  readonly runner: OnnxRunner;
  readonly encoder: PrefixEncoder;
  /** Holds the tokenizer's files, if the model has a tokenizer. */
  readonly tokenizerDirectory: string;
  readonly eosTokenIds: readonly number[];
  /** What somebody who starts the model should know of its checkpoint's files, a line each. */
  readonly warnings: readonly string[];
  /** What an encoder-decoder's checkpoint asks of generation; undefined for a decoder-only model. */
  readonly generation: GenerationConfig | undefined;
  /**
   * Opens what no first request needs, beside the steps; steps that need it before wait for the rest of its opening.
   * @throws OnnxRuntimeError for a graph that cannot be opened
   */
  openRest(): Promise<void>;
  /** Waits for the run in flight, then releases everything. */
  dispose(): Promise<void>;
}

/**
 * Compiles the model if that is needed, and opens it.
 * Throws `CheckpointError` for a source that cannot be served, and `ProviderError` where the device is missing.
 */
export async function openModel(options: OpenModelOptions): Promise<Model> {
  const { provider = 'cpu' } = options;
  const resources = new DisposableStack();
  try {
    const runtime = resources.use(new Runtime({ threads: options.threads, spin: options.spin ?? true }));
    if (provider !== 'cpu') await requireProvider(runtime, provider);
    const directory = await compileModel(options);
    const whole = (await readManifest(directory)) as Manifest;
    const manifest = { ...whole, shape: limitContext(whole.shape, options.maxLength) };
    const weights = mapWeights(runtime, directory, manifest, resources);
    const kv = options.kv ?? 'float32';
    return await load({ runtime, directory, manifest, weights, kv, resources }, options);
  } catch (error) {
    await resources.dispose();
    throw error;
  }
}

async function load(parts: BackendParts, options: OpenModelOptions): Promise<Model> {
  const { runtime, directory, manifest, weights, kv, resources } = parts;
  const { shape, eosTokenIds } = manifest;
  const { contextLength, vocabularySize } = shape;
  const { slots } = options;
  const form = await crossFormOf(parts, options);
  const { packed, warnings } = await packedOf(parts, options, form);
  const backend = await openBackend({ ...parts, packed }, options.provider ?? 'cpu', options.memory);
  // One after another: each finds the weights that the ones before have packed.
  const uniform = await backend.open(stepGraph('uniform', form));
  const mixed = resources.use(new LateGraph(() => openLate(backend, weights, stepGraph('mixed', form))));
  const append = await backend.open('append.onnx');
  const sources = form && { form, ...(await openSources(backend, parts, slots)) };
  const encoder = form === undefined ? await openPrefixEncoder(backend, parts) : NO_PREFIX_ENCODER;
  weights.file.releasePages(); // the packed copies are what runs from now on
  const maxTokens = maxTokensOf({ slots, contextLength });
  const hasSources = sources !== undefined;
  const sizes = { slots, maxRowTokens: MAX_ROW_TOKENS, maxTokens, vocabularySize, hasSources, target: backend.target };
  const buffers = new StepBuffers(runtime, sizes, await backend.openLogits(maxTokens));
  const sessions = { uniform, mixed, append };
  const positions = slotPositions(shape).decoder;
  const arena = await backend.openArena({ site: slotSite(shape), positions, slots, precision: kv });
  const { openSpans, maxChunkTokens } = backend;
  const shared = { runtime, shape, sessions, openSpans, weights: weights.file };
  const runner = resources.use(new OnnxRunner({ ...shared, slots, arena, buffers, sources, maxChunkTokens }));
  if (backend.target === 'device') {
    await mixed.open(); // a device takes one call at a time
    await tryStep(runner, parts, options.provider ?? 'cpu');
  }
  return {
    base: baseModel(options.id ?? path.basename(path.resolve(options.source)), manifest),
    runner,
    encoder,
    tokenizerDirectory: directory,
    eosTokenIds,
    warnings: [...manifest.warnings, ...warnings],
    generation: architectureNamed(manifest.architecture).generation?.(manifest.config),
    openRest: async () => void (await mixed.open()),
    dispose: () => resources.dispose(),
  };
}

async function openLate(backend: Backend, weights: MappedWeights, graph: string): Promise<Session> {
  const session = await backend.openOwned(graph);
  weights.file.releasePages();
  return session;
}

/** The packed weights of a float32 model on the CPU, if they are to be saved; where they cannot be, a warning says why. */
async function packedOf(
  { runtime, directory, manifest, kv }: BackendParts,
  { provider = 'cpu', memory = 'host', savePacked = false, cache }: OpenModelOptions,
  form: CrossForm | undefined,
): Promise<{ packed?: PackedFile | undefined; warnings: string[] }> {
  const isPossible = provider === 'cpu' && memory === 'host' && manifest.precision === 'float32';
  if (!isPossible || !savePacked) return { warnings: [] };
  const stages = form === undefined ? [] : encodeNames(manifest.shape);
  const graphs = [stepGraph('uniform', form), ...stages].map((name) => graphFile(name, kv));
  try {
    return { packed: await openPackedFile({ runtime, model: directory, manifest, graphs, cache }), warnings: [] };
  } catch (error) {
    const problem = (error as Error).message;
    return { warnings: [`packed weights are in this process's own memory; they could not be saved: ${problem}`] };
  }
}

/** How cross-attention is computed here; undefined for a decoder-only model. */
async function crossFormOf(
  { runtime, manifest, kv }: BackendParts,
  { provider = 'cpu', memory, crossAttention }: OpenModelOptions,
): Promise<CrossForm | undefined> {
  if (manifest.shape.sourceLength === undefined) return undefined;
  if (provider !== 'cpu' || (memory ?? 'host') !== 'host') {
    throw new ProviderError(provider, [`${manifest.architecture} is an encoder-decoder, which runs on the CPU only.`]);
  }
  return crossAttention ?? ((await isFusedExact(runtime, kv)) ? 'fused' : 'plain');
}

async function openPrefixEncoder(
  backend: Backend,
  { runtime, manifest, weights }: BackendParts,
): Promise<PrefixEncoder> {
  const encode = await backend.openEncoder();
  return new OnnxPrefixEncoder(runtime, manifest.shape, encode, (id) => weights.embedding(id));
}

/** Tries a step: some devices report only when they run that they lack, say, arithmetic in float16. */
async function tryStep(runner: OnnxRunner, { manifest, kv }: BackendParts, provider: Provider): Promise<void> {
  try {
    await runner.step({ rows: [{ slot: 0, tokens: [0], past: 0, logits: 'last', temperature: 1 }], topK: 1 });
  } catch (error) {
    const tried = `It cannot run a step with ${manifest.precision} weights and ${kv} keys and values; another precision of either may do.`;
    throw new ProviderError(provider, [tried, `ONNX Runtime says: ${(error as Error).message}`]);
  }
}

/** The compiled model under the name `id`, as its prefixes know it. */
export function baseModel(id: string, { shape, fingerprint }: Manifest): BaseModel {
  return { id, fingerprint, ...shape };
}
