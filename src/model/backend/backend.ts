import path from 'node:path';

import { Device } from '../../runtime/ort/device.js';
import type { Provider } from '../../runtime/ort/provider.js';
import type { Runtime } from '../../runtime/ort/runtime.js';
import { PackedWeights, Session } from '../../runtime/ort/session.js';
import { type Manifest, WEIGHTS_FILE } from '../compile/compiled-model.js';
import { copyGraph } from './copy-graphs.js';
import { DeviceArena } from './device-arena.js';
import { DeviceLogits } from './device-logits.js';
import { uploadWeights } from './device-weights.js';
import { graphFile, type GraphName, GRAPHS, type GraphTarget } from '../gpt2/graphs.js';
import { HostArena } from './host-arena.js';
import { HostLogits } from './host-logits.js';
import type { KvArena } from './kv-arena.js';
import type { KvLayout } from './kv-blocks.js';
import type { Logits } from './logits.js';
import type { MappedWeights, Owned } from './mapped-weights.js';
import type { KvPrecision } from '../precision.js';
import { BITS } from '../compile/quantize.js';
import { StagedArena } from './staged-arena.js';

/** Where a model runs: sessions that have its weights there, and memory for what they leave there, which is the caller's. */
export interface Place {
  open(graph: GraphName): Promise<Session>;
  /** `encode.onnx`, which runs beside the steps. */
  openEncoder(): Promise<Session>;
  openArena(layout: KvLayout): Promise<KvArena>;
  openLogits(maxRows: number): Promise<Logits>;
  /** Tokens that a chunk may have at most, where that is less than the context. */
  readonly maxChunkTokens?: number;
  readonly target: GraphTarget;
}

/** Opens a graph without weights in a place. */
export type OpenGraph = (graph: Uint8Array) => Promise<Session>;

/** What a provider's memory is to the CPU: its own, one it cannot read but has addresses of, or one it has handles of only. */
export type MemoryKind = 'host' | 'addresses' | 'handles';

const MEMORY_KINDS: Record<Provider, MemoryKind> = { cpu: 'host', cuda: 'addresses', webgpu: 'handles' };

/**
 * From 32 new tokens on, WebGPU's attention takes a path that computes nonsense where subgroups are of 4 threads, as on
 * SwiftShader; which adapters it is right on has not been tried.
 */
const WEBGPU_MAX_CHUNK_TOKENS = 31;

/** What every place is made of. */
export interface PlaceParts {
  readonly runtime: Runtime;
  /** Of the compiled model. */
  readonly directory: string;
  readonly manifest: Manifest;
  readonly weights: MappedWeights;
  /** Type of keys and values. */
  readonly kv: KvPrecision;
  /** Gets everything that must be released. */
  readonly owned: Owned;
}

/** @param memory what the provider has, unless given: with the CPU's, the others can be tried where there is no device */
export function openPlace(parts: PlaceParts, provider: Provider, memory = MEMORY_KINDS[provider]): Promise<Place> {
  return memory === 'host' ? openHost(parts) : openDevice(parts, provider, memory);
}

/** The CPU: graphs as they were compiled, one packed copy of the weights for all of them. */
async function openHost(parts: PlaceParts): Promise<Place> {
  const { runtime, directory, manifest, weights, kv, owned } = parts;
  // ONNX Runtime's norms in float16 pack their weights, and refuse to share them.
  const packed = manifest.precision === 'float16' ? {} : { packedWeights: owned.add(new PackedWeights(runtime)) };
  const options = { initializers: weights.tensors, ...packed };
  const open = async (name: GraphName): Promise<Session> =>
    owned.add(await Session.open(runtime, path.join(directory, graphFile(name, kv)), options));
  return {
    open,
    // Products with quantised weights compute something else where those are not packed: a prefix is to be what the steps would make.
    openEncoder: () => (manifest.precision in BITS ? open('encode.onnx') : openEncoder(parts)),
    openArena: async (layout) => new HostArena(runtime, layout),
    openLogits: async (maxRows) => new HostLogits(runtime, maxRows, manifest.config.vocabularySize),
    target: 'cpu',
  };
}

/** A device: graphs written for it, one copy of the weights in its memory for all of them. */
async function openDevice(parts: PlaceParts, provider: Provider, memory: MemoryKind): Promise<Place> {
  const { runtime, directory, manifest, kv, owned } = parts;
  const openGraph: OpenGraph = async (graph) => owned.add(await Session.open(runtime, graph, { provider }));
  const lender = await openGraph(copyGraph('float32', 1));
  const device = owned.add(new Device(runtime, lender, provider, { hasAddresses: memory === 'addresses' }));
  const initializers = await uploadWeights(parts, device, openGraph);
  const options = { provider, initializers, filesDirectory: directory };
  const source = { config: manifest.config, places: manifest.weights, weightsFile: WEIGHTS_FILE };
  const write = (name: GraphName): Uint8Array => GRAPHS[name]({ ...source, kv, target: 'device' }).toBytes();
  const arena = memory === 'addresses' ? DeviceArena : StagedArena;
  return {
    open: async (name) => owned.add(await Session.open(runtime, write(name), options)),
    openEncoder: () => openEncoder(parts),
    openArena: (layout) => arena.open(runtime, device, layout, openGraph),
    openLogits: () => DeviceLogits.open(runtime, device, manifest.config.vocabularySize, openGraph),
    target: 'device',
    ...(provider === 'webgpu' && { maxChunkTokens: WEBGPU_MAX_CHUNK_TOKENS }),
  };
}

/**
 * A prefix is encoded on the CPU wherever steps run: it happens once, at upload, and a device takes one run at a time. Packing weights
 * for it would only take time at the start.
 */
async function openEncoder({ runtime, directory, weights, kv, owned }: PlaceParts): Promise<Session> {
  const options = { initializers: weights.tensors, packWeights: false, planMemory: false };
  return owned.add(await Session.open(runtime, path.join(directory, graphFile('encode.onnx', kv)), options));
}
