import type { GenerationConfig } from '../engine/generation-config.js';
import type { GraphBuilder } from '../onnx/graph.js';
import type { ModelShape } from '../prefix/kv.js';
import type { EncoderDecoder } from './encoder-decoder.js';
import type { KvPrecision } from './precision.js';
import type { Transformer, TransformerForm } from './transformer.js';
import type { WeightSpan, WeightSpec } from './weights.js';

/** A JSON object from a checkpoint. */
export type Json = Readonly<Record<string, unknown>>;

/** Told, in a line, what somebody who starts the model should know of its files. */
export type Warn = (warning: string) => void;

/** The kind of processor that a graph is written for: the CPU, where some operators are faster, or a device, where some are missing. */
export type GraphTarget = 'cpu' | 'device';

/** The weights that a graph reads. */
export interface WeightSource<Config = unknown> {
  readonly config: Config;
  readonly weights: readonly WeightSpan[];
  /** File of the weights, relative to the graph. */
  readonly weightsFile: string;
  /** Positions of a slot of a decoder-only model; the configuration's context unless given. */
  readonly positions?: number;
}

/** Everything that a graph is written from. */
export interface GraphSource<Config = unknown> extends WeightSource<Config> {
  /** Type of keys and values. */
  readonly kv: KvPrecision;
  /** The CPU unless given. */
  readonly target?: GraphTarget;
}

/** The weight with a head's matrix, `[vocabulary, width]`, where the head is not the token embeddings. */
export const HEAD_WEIGHT = 'lm_head.weight';

/** The matrix product that a weight belongs to. */
export interface Matrix {
  /** Name of its layer. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** `[outputs, inputs]`, the order of embeddings and heads; else `[inputs, outputs]`. */
  readonly outputsFirst: boolean;
  /** Whether the weight is an embedding table too, whose rows are looked up. */
  readonly isEmbedding: boolean;
}

/**
 * A kind of model that can be served: everything that depends on it. `Config` is plain data that only the architecture reads; a compiled
 * model's manifest keeps it.
 */
export interface Architecture<Config = unknown> {
  /** A compiled model's manifest names it so. */
  readonly name: string;
  /** The `model_type`s of its checkpoints' `config.json`; its name unless given. */
  readonly modelTypes?: readonly string[];
  /** For messages, with an article. */
  readonly title: string;
  /** The weight with the embeddings of tokens, `[vocabulary, width]`. */
  readonly tokenEmbeddings: string;
  /** Names of weights that are the token embeddings again, unless a checkpoint says otherwise: the head's, and where a side has its own name. */
  readonly embeddingCopies: readonly string[];
  /** Weights that are zeros where a checkpoint does not hold them; none unless given. */
  readonly zeros?: ReadonlySet<string>;
  /**
   * Whether a prompt's text gets the special tokens that the tokenizer puts around a text, as Transformers does for every family. GPT-2's
   * puts none there; false unless given.
   */
  readonly specialTokensInPrompts?: boolean;
  /** `model_type` of the checkpoint, where Transformers makes something of the tokenizer's files that depends on it. */
  modelType?(config: Config): string;
  /**
   * Reads `config.json`, and `generation_config.json`, whose values go first.
   * Throws `CheckpointError` naming the field for a model that would be computed wrongly.
   * @param warn told what of the files has no effect
   */
  parseConfig(config: Json, generation?: Json, warn?: Warn): Config;
  /** The configuration of the same model with a head of its own. */
  withOwnHead(config: Config): Config;
  shape(config: Config): ModelShape;
  eosTokenIds(config: Config): readonly number[];
  /** What an encoder-decoder's checkpoint asks of generation; undefined, or left out, for a decoder-only model. */
  generation?(config: Config): GenerationConfig;
  /** Everything of a configuration that changes results, as text that never changes: the model's fingerprint covers it. */
  fingerprintText(config: Config): string;
  /** The name of the weight that a checkpoint's tensor holds, or of the copy; undefined for a tensor that the model does not need. */
  weightName(tensor: string): string | undefined;
  /** Every weight in float32, as a checkpoint holds it. */
  weights(config: Config): readonly WeightSpec[];
  /** The same weights in the same order, as a compiled model holds them: rows may be wider, with zeros at their ends. */
  compiledWeights(config: Config): readonly WeightSpec[];
  /** The matrix product that a compiled weight belongs to; undefined where it belongs to none. */
  matrixOf(weight: WeightSpec, config: Config): Matrix | undefined;
  /** File names of the graphs that a model is compiled to. */
  graphs(config: Config): readonly string[];
  /** Writes one of them. Where the weights are float16, so are the activations; inputs and outputs are float32 all the same. */
  writeGraph(name: string, source: GraphSource<Config>): GraphBuilder;
  /**
   * Writes the graph of a step that has several tokens in several rows: up to `nodes` in each, and a chunk if `hasChunk`. Inputs and
   * outputs are named in `graph-names.ts` and bound by `OnnxRunner`. Left out where rows before the last have one token only.
   */
  writeSpansGraph?(source: GraphSource<Config>, nodes: number, hasChunk: boolean): GraphBuilder;
  /** The parts of a decoder-only model, to write other graphs of. */
  transformer?(graph: GraphBuilder, source: WeightSource<Config>, form: TransformerForm): Transformer;
  /** The parts of an encoder-decoder, to write other graphs of. */
  encoderDecoder?(graph: GraphBuilder, source: WeightSource<Config>, form: TransformerForm): EncoderDecoder;
}
