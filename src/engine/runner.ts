import type { PrefixKv } from '../prefix/kv.js';

/** Consecutive tokens of one sequence: the one that it decodes, a chunk of its prompt, or a draft to verify. */
export interface Span {
  /** KV slot of the sequence. */
  readonly slot: number;
  /** At least one. */
  readonly tokens: readonly number[];
  /** Positions in the slot before the step. */
  readonly past: number;
  /** Position that the first token is embedded with, at most `past`: less, where virtual tokens are not counted; `past` unless given. */
  readonly position?: number;
  /** Source slot that the tokens attend to; undefined or left out in a decoder-only model. */
  readonly source?: number | undefined;
  /** Tokens whose logits the step returns. */
  readonly logits: 'none' | 'last' | 'all';
  /** Divisor of the logits in `StepOutput.temperedLse`, above 0; 1 where the sampler does not need them. */
  readonly temperature: number;
}

/**
 * One forward pass over at least one span. Row i is in slot i, but the last row may be in any slot behind the others. A row before
 * the last has at most `ModelRunner.maxRowTokens` tokens, the last one `ModelRunner.maxChunkTokens`.
 */
export interface StepInput {
  readonly rows: readonly Span[];
  /** Whether the last row is one like the others, of at most `ModelRunner.maxRowTokens` tokens, and no chunk of a prompt; false unless given. */
  readonly isVerifying?: boolean;
  /** Number of best logits returned for each token, 1 to the vocabulary's size. */
  readonly topK: number;
}

/**
 * Result of a step: one row for each token whose logits were asked for, in the order of the spans and of their tokens.
 * Every array is a view that the next step overwrites.
 */
export interface StepOutput {
  readonly rows: number;
  /** `[rows, topK]` best token ids, best first; equal logits are ordered by id. */
  readonly topIds: Int32Array;
  /** `[rows, topK]` logits of `topIds`. */
  readonly topLogits: Float32Array;
  /** `[rows]` log(sum(exp(logits))): a logit minus this is its natural log-probability. */
  readonly lse: Float32Array;
  /** `[rows]` log(sum(exp(logits / temperature))). */
  readonly temperedLse: Float32Array;
  /** `[vocabulary]` all logits of one row. */
  logits(row: number): Float32Array;
}

/** Copy of the keys and values of consecutive positions of a slot. Immutable; only the runner that made it can read it. */
export interface KvCopy {
  /** Number of positions. */
  readonly length: number;
  /** Memory that the copy takes. */
  readonly bytes: number;
}

/** A source that is being encoded. The pieces of one source may be computed between steps. */
export interface SourceEncoding {
  /**
   * Computes the next piece: up to `maxTokens` tokens of one layer.
   * @returns whether the source is encoded, and tokens may attend to its slot
   */
  advance(maxTokens: number): Promise<boolean>;
  /** Releases what it needs while it encodes; the source slot stays as it is. */
  dispose(): void;
}

/** Encodes sources of an encoder-decoder into source slots, which tokens attend to. */
export interface SourceEncoder {
  /** Most tokens of a source, with the embeddings that a prefix puts before it. */
  readonly maxTokens: number;
  /** Numbers in an input embedding. */
  readonly width: number;
  /**
   * Begins to encode a source behind the virtual tokens of a prefix. What the source slot held is lost.
   * @param slot there are as many source slots as KV slots
   * @throws RangeError for a source that it does not encode
   */
  begin(slot: number, source: readonly number[], prefix?: PrefixKv): SourceEncoding;
}

/**
 * A model as the engine sees it: forward passes over several sequences, and the care of their KV slots. `model/` implements it on
 * ONNX Runtime, tests in plain TypeScript; both pass one contract suite.
 * One call at a time: the engine awaits each promise before the next call of any method.
 */
export interface ModelRunner {
  readonly slots: number;
  /** Positions that tokens may have: the model's context. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Most tokens of a step's last row, where that is less than the context. */
  readonly maxChunkTokens?: number;
  /** Most tokens of each row before the last. */
  readonly maxRowTokens: number;
  /**
   * Whether a step that verifies drafts could begin at once: with so many rows, and so many tokens in the longest. Where it could not, the
   * runner makes ready for such steps beside those that run.
   */
  canVerify(rows: number, rowTokens: number): boolean;
  /** Undefined for a decoder-only model. Its calls are calls of the runner: one at a time. */
  readonly sources?: SourceEncoder | undefined;
  /**
   * Runs one forward pass: writes keys and values of all its tokens and returns the logits asked for.
   * @throws RangeError for a step that it does not compute; no slot has changed then
   */
  step(input: StepInput): Promise<StepOutput>;
  /** Writes the keys and values of virtual tokens, those of the site that slots hold, at positions `offset` to `offset + kv.length - 1` of a slot. */
  append(slot: number, offset: number, kv: PrefixKv): Promise<void>;
  /**
   * Copies the first `length` positions of a slot to another one; the source stays as it is.
   * @param shared leading positions that both have alike, which need not be copied; 0 unless given
   */
  copySlot(from: number, to: number, length: number, shared?: number): Promise<void>;
  /** Copies positions `from` to `from + length - 1` out of a slot. */
  readSlot(slot: number, from: number, length: number): Promise<KvCopy>;
  /** Writes a copy that `readSlot` returned into any slot, at the positions that it was read from: those from `from` on. */
  writeSlot(slot: number, from: number, copy: KvCopy): Promise<void>;
}
