import type { Runtime } from '../../runtime/ort/runtime.js';
import type { Session } from '../../runtime/ort/session.js';
import type { Manifest } from '../compile/compiled-model.js';
import type { GraphTarget } from '../architecture.js';
import type { PackedFile } from '../packed/packed-file.js';
import type { OpenSpans } from '../span-graphs.js';
import type { KvPrecision } from '../precision.js';
import type { DisposableStack } from './disposable-stack.js';
import type { KvArena } from './arena/kv-arena.js';
import type { KvLayout } from './arena/kv-blocks.js';
import type { Logits } from './logits.js';
import type { MappedWeights } from './mapped-weights.js';

/** Where a model runs: sessions that have its weights there, and memory for keys, values and logits, which the caller owns. */
export interface Backend {
  /** Opens a graph of the architecture by its file name. */
  open(graph: string): Promise<Session>;
  /** As `open`; the caller disposes of the session. */
  openOwned(graph: string): Promise<Session>;
  /** Undefined where the architecture writes no such graphs. */
  readonly openSpans?: OpenSpans | undefined;
  /** Opens `encode.onnx`, which runs beside the steps. */
  openEncoder(): Promise<Session>;
  openArena(layout: KvLayout): Promise<KvArena>;
  openLogits(maxRows: number): Promise<Logits>;
  /** Most tokens of a chunk, where that is less than the context. */
  readonly maxChunkTokens?: number;
  readonly target: GraphTarget;
}

/** Everything that a backend is made of. */
export interface BackendParts {
  readonly runtime: Runtime;
  /** Directory of the compiled model. */
  readonly directory: string;
  readonly manifest: Manifest;
  readonly weights: MappedWeights;
  /** Packed weights that graphs on the CPU map; unless given, they pack them into memory of their own. */
  readonly packed?: PackedFile | undefined;
  /** Type of keys and values. */
  readonly kv: KvPrecision;
  /** Takes over everything that must be released. */
  readonly resources: DisposableStack;
}

/** Opens a graph that has no weights on a backend. */
export type OpenGraph = (graph: Uint8Array) => Promise<Session>;
