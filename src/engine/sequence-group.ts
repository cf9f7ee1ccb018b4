import type { LogitsRow } from './sampling/logits-row.js';

/** A sequence that goes on from the keys and values of another one. */
export interface Branch<S> {
  readonly parent: S;
  readonly child: S;
  /** Leading tokens of which the child's slot has the parent's keys and values already. */
  readonly numSharedTokens: number;
}

/** Sequences that run in step and end together, as those of a beam search. */
export interface SequenceGroup<S> {
  /** The sequence that computes the prompt comes first. */
  readonly sequences: readonly [S, ...S[]];
  /** Number of best logits of one of the running sequences that a step must return. */
  numBestOf(sequence: S): number;
  /** Takes note of the logits behind one of the running sequences. */
  read(sequence: S, row: LogitsRow): void;
  /**
   * Goes on once each running sequence is read.
   * @returns sequences whose slots have to become copies of others', before the next step
   */
  advance(): Branch<S>[];
  /** Begins anew, from the prompt: nothing is kept of the tokens so far. */
  restart(): void;
}
