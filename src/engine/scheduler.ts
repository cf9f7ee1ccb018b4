/** What the policy knows of a sequence. */
export interface Schedulable {
  /** Tokens that have no keys and values yet; at least one. */
  readonly numRemainingTokens: number;
  readonly numComputedTokens: number;
  /** Index of the token that virtual tokens stand before: no chunk goes across it. */
  readonly prefixIndex: number | undefined;
}

export interface SchedulerState<S extends Schedulable> {
  /** In order of arrival. */
  readonly waiting: readonly S[];
  /** Those that hold a slot, in the order of their slots; at most one has more than one token left to compute. */
  readonly running: readonly S[];
  readonly freeSlots: number;
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
 * with more is in prefill, one at a time and one chunk a step. Waiting sequences are admitted in turn while a slot is free, and
 * nobody overtakes one that waits for another's prefill.
 */
export function schedule<S extends Schedulable>(state: SchedulerState<S>): Schedule<S> {
  const admitted = admit(state);
  const running = [...state.running, ...admitted];
  const prefilling = running.find(isPrefilling);
  return {
    admitted,
    decode: running.filter((sequence) => !isPrefilling(sequence)),
    chunk: prefilling && nextChunk(prefilling, state.maxChunkTokens),
  };
}

/** Whose turn it is: the first to come. Fairness between tenants belongs here. */
export function pickNext<S>(waiting: readonly S[]): S | undefined {
  return waiting[0];
}

function admit<S extends Schedulable>({ waiting, running, freeSlots }: SchedulerState<S>): S[] {
  const admitted: S[] = [];
  let hasPrefill = running.some(isPrefilling);
  for (let rest = waiting; admitted.length < freeSlots; rest = waiting.filter((one) => !admitted.includes(one))) {
    const next = pickNext(rest);
    if (next === undefined || (isPrefilling(next) && hasPrefill)) break;
    hasPrefill ||= isPrefilling(next);
    admitted.push(next);
  }
  return admitted;
}

function isPrefilling({ numRemainingTokens }: Schedulable): boolean {
  return numRemainingTokens > 1;
}

function nextChunk<S extends Schedulable>(sequence: S, maxChunkTokens: number): ScheduledChunk<S> {
  const { numRemainingTokens, numComputedTokens, prefixIndex = 0 } = sequence;
  const beforePrefix = prefixIndex > numComputedTokens ? prefixIndex - numComputedTokens : numRemainingTokens;
  const numTokens = Math.min(numRemainingTokens, beforePrefix, maxChunkTokens);
  return { sequence, numTokens, isLast: numTokens === numRemainingTokens };
}
