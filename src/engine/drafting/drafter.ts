import type { GenerationRequest } from '../request.js';

/** A token that may come next. */
export interface DraftToken {
  readonly id: number;
  /** How likely the model is to choose it, if it chooses all those before it. */
  readonly probability: number;
}

/** A sequence as a drafter sees it. */
export interface DraftedSequence {
  readonly request: GenerationRequest;
  /** Prompt and generated tokens. */
  readonly tokens: readonly number[];
}

/** Guesses what sequences will say. Guesses cost time when they are wrong, and never change a result. */
export interface Drafter {
  /** Bytes of what it has learned. */
  readonly bytes: number;
  /** Guesses up to `maxTokens` tokens that follow; fewer, or none, where it has no guess. */
  draft(sequence: DraftedSequence, maxTokens: number): readonly DraftToken[];
  /** Learns from the last `count` tokens of a sequence, which were generated since it was last told. */
  learn(sequence: DraftedSequence, count: number): void;
}
