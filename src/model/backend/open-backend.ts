import fs from 'node:fs/promises';
import path from 'node:path';

import { Device } from '../../runtime/ort/device.js';
import type { Provider } from '../../runtime/ort/provider.js';
import { PackedWeights, Session } from '../../runtime/ort/session.js';
import { WEIGHTS_FILE } from '../compile/compiled-model.js';
import type { Backend, BackendParts, OpenGraph } from './backend.js';
import { copyGraph } from './copy-graphs.js';
import { DeviceArena } from './arena/device-arena.js';
import { DeviceLogits } from './device-logits.js';
import { uploadWeights } from './device-weights.js';
import type { Architecture, GraphSource, GraphTarget } from '../architecture.js';
import { architectureNamed } from '../architectures.js';
import { graphFile } from '../graph-names.js';
import { HostArena } from './arena/host-arena.js';
import { HostLogits } from './host-logits.js';
import { BITS } from '../compile/quantize.js';
import { openPacked } from '../packed/packed-session.js';
import { StagedArena } from './arena/staged-arena.js';

/** A provider's memory as the CPU sees it: its own, one that it has addresses of but cannot read, or one that it has only handles of. */
export type MemoryKind = 'host' | 'addresses' | 'handles';

const MEMORY_KINDS: Record<Provider, MemoryKind> = { cpu: 'host', cuda: 'addresses', webgpu: 'handles' };

/**
 * From 32 new tokens on, WebGPU's attention takes a path that computes nonsense where subgroups are of 4 threads, as on
 * SwiftShader; which adapters it is right on has not been tried.
 */
const WEBGPU_MAX_CHUNK_TOKENS = 31;

/** @param memory the provider's unless given: another kind can be tried on the CPU where there is no device */
export function openBackend(
  parts: BackendParts,
  provider: Provider,
  memory = MEMORY_KINDS[provider],
): Promise<Backend> {
  return memory === 'host' ? openHost(parts) : openDevice(parts, provider, memory);
}

/** The CPU: graphs as they were compiled, or written anew for a context that is limited; one packed copy of the weights for all of them. */
async function openHost(parts: BackendParts): Promise<Backend> {
  const { runtime, directory, manifest, weights, kv, resources, packed } = parts;
  // ONNX Runtime's norms in float16 pack their weights, and refuse to share them.
  const shared = manifest.precision === 'float16' ? {} : { packedWeights: resources.use(new PackedWeights(runtime)) };
  const options = { initializers: weights.tensors, ...shared, filesDirectory: directory };
  const openGraph: OpenGraph = (graph) =>
    packed === undefined ? Session.open(runtime, graph, options) : openPacked(runtime, graph, packed, options);
  const architecture = architectureNamed(manifest.architecture);
  const source = graphSource(parts, 'cpu');
  const compiled = (name: string): Promise<Uint8Array> => fs.readFile(path.join(directory, graphFile(name, kv)));
  const openOwned = async (name: string): Promise<Session> =>
    openGraph(source.positions === undefined ? await compiled(name) : architecture.writeGraph(name, source).toBytes());
  const open = async (name: string): Promise<Session> => resources.use(await openOwned(name));
  return {
    open,
    openOwned,
    openSpans: spansOpener(architecture, source, openGraph),
    // Products with quantised weights compute something else where those are not packed: a prefix is to be what the steps would make.
    openEncoder: () => (manifest.precision in BITS ? open('encode.onnx') : openEncoder(parts)),
    openArena: async (layout) => new HostArena(runtime, layout),
    openLogits: async (maxRows) => new HostLogits(runtime, maxRows, manifest.shape.vocabularySize),
    target: 'cpu',
  };
}

/** A device: graphs written for it, one copy of the weights in its memory for all of them. */
async function openDevice(parts: BackendParts, provider: Provider, memory: MemoryKind): Promise<Backend> {
  const { runtime, directory, manifest, resources } = parts;
  const openGraph: OpenGraph = async (graph) => resources.use(await Session.open(runtime, graph, { provider }));
  const lender = await openGraph(copyGraph('float32', 1));
  const device = resources.use(new Device(runtime, lender, provider, { hasAddresses: memory === 'addresses' }));
  const initializers = await uploadWeights(parts, device, openGraph);
  const options = { provider, initializers, filesDirectory: directory };
  const architecture = architectureNamed(manifest.architecture);
  const source = graphSource(parts, 'device');
  const arena = memory === 'addresses' ? DeviceArena : StagedArena;
  const openOwned = (name: string): Promise<Session> =>
    Session.open(runtime, architecture.writeGraph(name, source).toBytes(), options);
  return {
    open: async (name) => resources.use(await openOwned(name)),
    openOwned,
    openSpans: spansOpener(architecture, source, (graph) => Session.open(runtime, graph, options)),
    openEncoder: () => openEncoder(parts),
    openArena: (layout) => arena.open(runtime, device, layout, openGraph),
    openLogits: () => DeviceLogits.open(runtime, device, manifest.shape.vocabularySize, openGraph),
    target: 'device',
    ...(provider === 'webgpu' && { maxChunkTokens: WEBGPU_MAX_CHUNK_TOKENS }),
  };
}

function spansOpener(architecture: Architecture, source: GraphSource, open: OpenGraph): Backend['openSpans'] {
  if (architecture.writeSpansGraph === undefined) return undefined;
  const write = architecture.writeSpansGraph.bind(architecture);
  return (nodes, hasChunk) => open(write(source, nodes, hasChunk).toBytes());
}

function graphSource({ manifest, kv }: BackendParts, target: GraphTarget): GraphSource {
  const { config, weights, shape, architecture } = manifest;
  const { contextLength } = architectureNamed(architecture).shape(config);
  const isLimited = shape.contextLength < contextLength;
  const positions = isLimited ? { positions: shape.contextLength } : {};
  return { config, weights, weightsFile: WEIGHTS_FILE, kv, target, ...positions };
}

/**
 * A prefix is encoded on the CPU wherever steps run: it happens once, at upload, and a device takes one run at a time. Packing weights
 * for it would only take time at the start.
 */
async function openEncoder({ runtime, directory, weights, kv, resources }: BackendParts): Promise<Session> {
  const options = { initializers: weights.tensors, packWeights: false, planMemory: false };
  return resources.use(await Session.open(runtime, path.join(directory, graphFile('encode.onnx', kv)), options));
}
