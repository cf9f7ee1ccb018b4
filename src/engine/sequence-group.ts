import type { LogitsRow } from './sampling/logits-row.js';

/** A sequence that goes on from the keys and values of another one. */
export interface Branch<S> {
  readonly parent: S;
  readonly child: S;
  /** Leading tokens of which the child's slot has the parent's keys and values already. */
  readonly numSharedTokens: number;
}

/** Sequences that run in step and end together, as those of a beam search or a blend. */
export interface SequenceGroup<S> {
  /** The sequence that computes the prompt comes first. */
  readonly sequences: readonly [S, ...S[]];
  /** Whether all of them are rows of one text, that of the first: the others are told of to nobody, and share no source with it. */
  readonly isBlend: boolean;
  /** Most tokens that they can come to, all together. */
  readonly tokenBudget: number;
  /** Sequences that compute the prompt themselves, and for which the first, which runs, keeps a slot each. */
  readonly starting: readonly S[];
  /** Number of best logits of one of the running sequences that a step must return. */
  numBestOf(sequence: S): number;
  /** Takes note of the logits behind one of the running sequences. */
  read(sequence: S, row: LogitsRow): void;
  /**
   * Goes on once each running sequence is read.
   * @param onToken called for each sequence that has a token, before that is chosen
   * @returns sequences whose slots have to become copies of others', before the next step
   */
  advance(onToken: (sequence: S) => void): Branch<S>[];
  /** Lets all of them wait again, without slots. */
  restart(): void;
  /** @throws Error when the books of a running group do not add up */
  checkIntegrity(): void;
}
