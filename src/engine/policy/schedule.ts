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
  /** Prompt tokens of a step that has decode rows. */
  readonly maxChunkTokens: number;
  /** Prompt tokens of a step that has none, whom a long step would keep waiting; `maxChunkTokens` unless given. */
  readonly maxLoneChunkTokens?: number;
  /** How many tokens of a waiting sequence's prompt the prompt cache has; without one, left out. */
  readonly numCached?: ((sequence: S) => number) | undefined;
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
 * copies it and decodes at once; one whose prompt is in the prompt cache, in part or up to its last token, goes on from there.
 */
export function schedule<S extends Schedulable>(state: SchedulerState<S>): Schedule<S> {
  const admitted = admit(state);
  const running = [...state.running, ...admitted];
  const prefilling = state.running.find(isPrefilling) ?? admitted.find((one) => numToPrefill(one, state) > 1);
  const decode = running.filter((sequence) => sequence !== prefilling);
  const { maxChunkTokens, maxLoneChunkTokens = maxChunkTokens } = state;
  const maxTokens = decode.length > 0 ? maxChunkTokens : maxLoneChunkTokens;
  return { admitted, decode, chunk: prefilling && nextChunk(prefilling, state, maxTokens) };
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

function admit<S extends Schedulable>(state: SchedulerState<S>): S[] {
  const { waiting, running, freeSlots, served } = state;
  const admitted: S[] = [];
  const charges = new Map<string, number>();
  const counter = (tenant: string): number => served(tenant) + (charges.get(tenant) ?? 0);
  let hasPrefill = running.some(isPrefilling);
  let free = freeSlots;
  for (let rest = waiting; free > 0; rest = waiting.filter((one) => !admitted.includes(one))) {
    const next = pickNext(rest, counter);
    if (next === undefined || next.numSlots > free) break;
    const numRemainingTokens = numToPrefill(next, state);
    if (numRemainingTokens > 1 && hasPrefill) break;
    hasPrefill ||= numRemainingTokens > 1;
    free -= next.numSlots;
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

/** Tokens that a waiting sequence has to compute before it generates: what no sibling and no cache has of its prompt. */
function numToPrefill<S extends Schedulable>(sequence: S, { running, numCached }: SchedulerState<S>): number {
  if (!isPrefilling(sequence)) return 1;
  if (findSource(sequence, running) !== undefined) return 1;
  return sequence.numRemainingTokens - (numCached?.(sequence) ?? 0);
}

function nextChunk<S extends Schedulable>(
  sequence: S,
  { running, numCached }: SchedulerState<S>,
  maxTokens: number,
): ScheduledChunk<S> {
  // One that is only admitted now has not got them yet.
  const cached = running.includes(sequence) ? 0 : (numCached?.(sequence) ?? 0);
  const numComputedTokens = sequence.numComputedTokens + cached;
  const numRemainingTokens = sequence.numRemainingTokens - cached;
  const { prefixIndex = 0 } = sequence;
  const beforePrefix = prefixIndex > numComputedTokens ? prefixIndex - numComputedTokens : numRemainingTokens;
  const numTokens = Math.min(numRemainingTokens, beforePrefix, maxTokens);
  return { sequence, numTokens, isLast: numTokens === numRemainingTokens };
}
