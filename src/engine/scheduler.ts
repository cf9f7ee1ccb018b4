import { inputCharge } from './fair-share.js';
import { findSource, type Sibling } from './siblings.js';

/** What the policy knows of a sequence. */
export interface Schedulable extends Sibling {
  readonly tenant: string;
  /** The tenant's, above 0. */
  readonly weight: number;
  /** Tokens that have no keys and values yet; at least one. */
  readonly numRemainingTokens: number;
  readonly numComputedTokens: number;
  /** Slots that it needs: one, or more when others will go on from it. */
  readonly numSlots: number;
  /** Index of the token that virtual tokens stand before: no chunk goes across it. */
  readonly prefixIndex: number | undefined;
}

export interface SchedulerState<S extends Schedulable> {
  /** In the order in which they came. */
  readonly waiting: readonly S[];
  /** Those that hold a slot, in the order of their slots; at most one has more than one token left to compute. */
  readonly running: readonly S[];
  readonly freeSlots: number;
  /** What each tenant has been served, over its weight (`VirtualCounters`). */
  readonly served: (tenant: string) => number;
  readonly maxChunkTokens: number;
}

/** The next tokens of the one sequence in prefill. */
export interface ScheduledChunk<S> {
  readonly sequence: S;
  readonly numTokens: number;
  /** Whether the last of them is the sequence's last, so that its logits choose the next one. */
  readonly isLast: boolean;
}

/** What one step does. */
export interface Schedule<S> {
  /** Waiting sequences that get a slot now, in this order. */
  readonly admitted: readonly S[];
  /** Those whose one remaining token is computed: running ones in the order given, then admitted ones. */
  readonly decode: readonly S[];
  readonly chunk: ScheduledChunk<S> | undefined;
}

/**
 * The policy of one step. A sequence with one token left to compute is a decode row, and all of those go on in every step; one
 * with more is in prefill, one at a time and one chunk a step. While a slot is free, the tenant that was served least is next, and
 * nobody overtakes one that waits for another's prefill or for more slots than are free. One whose sibling has computed the prompt
 * copies it and decodes at once.
 */
export function schedule<S extends Schedulable>(state: SchedulerState<S>): Schedule<S> {
  const admitted = admit(state);
  const running = [...state.running, ...admitted];
  const prefilling = state.running.find(isPrefilling) ?? admitted.find((one) => needsPrefill(one, state.running));
  return {
    admitted,
    decode: running.filter((sequence) => sequence !== prefilling),
    chunk: prefilling && nextChunk(prefilling, state.maxChunkTokens),
  };
}

/** Whose turn it is: of the tenants that wait, the one served least; of its sequences, and of tenants that are even, the first to come. */
export function pickNext<S extends Pick<Schedulable, 'tenant'>>(
  waiting: readonly S[],
  served: SchedulerState<never>['served'],
): S | undefined {
  return waiting.reduce<S | undefined>(
    (best, next) => (best !== undefined && served(best.tenant) <= served(next.tenant) ? best : next),
    undefined,
  );
}

function admit<S extends Schedulable>({ waiting, running, freeSlots, served }: SchedulerState<S>): S[] {
  const admitted: S[] = [];
  const charges = new Map<string, number>();
  const counter = (tenant: string): number => served(tenant) + (charges.get(tenant) ?? 0);
  let hasPrefill = running.some(isPrefilling);
  let free = freeSlots;
  for (let rest = waiting; free > 0; rest = waiting.filter((one) => !admitted.includes(one))) {
    const next = pickNext(rest, counter);
    if (next === undefined || next.numSlots > free) break;
    const prefills = needsPrefill(next, running);
    if (prefills && hasPrefill) break;
    hasPrefill ||= prefills;
    free -= next.numSlots;
    const numRemainingTokens = prefills ? next.numRemainingTokens : 1;
    charges.set(
      next.tenant,
      (charges.get(next.tenant) ?? 0) + inputCharge({ weight: next.weight, numRemainingTokens }),
    );
    admitted.push(next);
  }
  return admitted;
}

function isPrefilling({ numRemainingTokens }: Schedulable): boolean {
  return numRemainingTokens > 1;
}

/** Whether a waiting sequence has a prompt to compute, and no sibling's to copy. */
function needsPrefill<S extends Schedulable>(sequence: S, running: readonly S[]): boolean {
  return isPrefilling(sequence) && findSource(sequence, running) === undefined;
}

function nextChunk<S extends Schedulable>(sequence: S, maxChunkTokens: number): ScheduledChunk<S> {
  const { numRemainingTokens, numComputedTokens, prefixIndex = 0 } = sequence;
  const beforePrefix = prefixIndex > numComputedTokens ? prefixIndex - numComputedTokens : numRemainingTokens;
  const numTokens = Math.min(numRemainingTokens, beforePrefix, maxChunkTokens);
  return { sequence, numTokens, isLast: numTokens === numRemainingTokens };
}
