import type { Schedule } from '../policy/schedule.js';
import type { Sequence } from '../sequence.js';

/** Tokens of the drafts that a step verifies, for each decode row; none for a row that has no draft. */
export type Drafts = readonly (readonly number[])[];

/** What a sequence has of a step. */
export interface AcceptedTokens {
  /** Tokens that it got: none if it was cancelled. */
  readonly tokens: number;
  /** Tokens of its draft, and how many of them it got. */
  readonly drafted: number;
  readonly accepted: number;
}

/** Decides what the steps of an engine verify. */
export interface DraftPlanner {
  /** Bytes of what was learned. */
  readonly bytes: number;
  /** Drafts for the decode rows of a step; undefined where the step is better without any. */
  plan(schedule: Schedule<Sequence>): Drafts | undefined;
  /** Learns what a step has cost. @param seconds of the forward pass */
  stepped(schedule: Schedule<Sequence>, drafts: Drafts | undefined, seconds: number): void;
  /** Learns from the last tokens of a sequence, which a step has generated; never of a beam, most of which is dropped. */
  learn(sequence: Sequence, accepted: AcceptedTokens): void;
}
