import type { PrefixKv } from '../prefix/kv.js';

/**
 * What the engine asks of a model: one forward pass over rows of several sequences, and the care of their KV slots.
 * `model/` implements it on ONNX Runtime; tests implement it in plain TypeScript. Both pass one contract suite.
 */

/** One token of a sequence that already has keys and values: row i of the batch is slot i. */
export interface DecodeRow {
  readonly token: number;
  /** Positions already in the slot. It is also the token's position. */
  readonly past: number;
  /** Divides the logits in `StepOutput.temperedLse`; 1 where the sampler does not need it. */
  readonly temperature: number;
}

/** A run of consecutive prompt tokens of one sequence. */
export interface PromptChunk {
  readonly slot: number;
  readonly tokens: readonly number[];
  /** Positions already in the slot. It is also the position of the first token. */
  readonly past: number;
  /** Whether logits of the last token, of every token, or of none are wanted. */
  readonly logits: 'none' | 'last' | 'all';
  readonly temperature: number;
}

/** One forward pass. At least one decode row or a chunk. */
export interface StepInput {
  /** Row i lives in slot i: decoding slots are dense, 0 to n - 1. */
  readonly decode: readonly DecodeRow[];
  readonly chunk?: PromptChunk;
  /** How many of the best logits of each row are returned, 1 to the vocabulary's size. */
  readonly topK: number;
}

/**
 * What a step returns. Rows: one for each decode row in order, then those of the chunk that were asked for.
 * Every array is a view that the next step overwrites.
 */
export interface StepOutput {
  readonly rows: number;
  /** `[rows, topK]` best token ids, best first; equal logits are ordered by id. */
  readonly topIds: Int32Array;
  /** `[rows, topK]` their logits. */
  readonly topLogits: Float32Array;
  /** `[rows]` log(sum(exp(logits))): a logit minus this is its natural log-probability. */
  readonly lse: Float32Array;
  /** `[rows]` log(sum(exp(logits / temperature))). */
  readonly temperedLse: Float32Array;
  /** `[vocabulary]` all logits of one row. */
  logits(row: number): Float32Array;
}

/** Keys and values of consecutive positions of a slot, outside of it. Immutable; only the runner that made it can read it. */
export interface KvSpan {
  /** Positions. */
  readonly length: number;
  /** What it takes of memory. */
  readonly bytes: number;
}

/** One call at a time: the engine awaits each promise before the next call of any method. */
export interface ModelRunner {
  readonly slots: number;
  /** Positions that fit in a slot: the model's context. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Tokens that a chunk may have at most, where that is less than the context. */
  readonly maxChunkTokens?: number;
  /** Runs one forward pass: writes keys and values of all its tokens and returns the logits asked for. */
  step(input: StepInput): Promise<StepOutput>;
  /** Writes the keys and values of virtual tokens at positions `offset` to `offset + kv.length - 1` of a slot. */
  append(slot: number, offset: number, kv: PrefixKv): Promise<void>;
  /** Copies the first `length` positions of a slot to another one; the source stays as it is. */
  copySlot(from: number, to: number, length: number): Promise<void>;
  /** Copies positions `from` to `from + length - 1` out of a slot. */
  readSlot(slot: number, from: number, length: number): Promise<KvSpan>;
  /** Copies what `readSlot` returned into any slot, at the positions from `from` on: those that it was read from. */
  writeSlot(slot: number, from: number, span: KvSpan): Promise<void>;
}
