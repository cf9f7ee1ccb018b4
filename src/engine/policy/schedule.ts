import type { Priority } from '../request.js';

/** A sequence that holds a slot, as the policy of a step sees it. */
export interface Schedulable {
  readonly priority: Priority;
  /** Tokens that have no keys and values yet; at least one. */
  readonly numRemainingTokens: number;
  readonly numComputedTokens: number;
  /** Index of the token that virtual tokens stand before: no chunk goes across it. */
  readonly prefixIndex: number | undefined;
}

export interface ChunkLimits {
  /** Prompt tokens of a step that has decode rows. */
  readonly maxChunkTokens: number;
  /** Prompt tokens of a step without decode rows, which a long step would keep waiting; `maxChunkTokens` unless given. */
  readonly maxLoneChunkTokens?: number;
}

/** Next tokens of a sequence in prefill. */
export interface ScheduledChunk<S> {
  readonly sequence: S;
  readonly numTokens: number;
  /** Whether the last of them is the sequence's last, so that its logits choose the next one. */
  readonly isLast: boolean;
}

/** Work of one step. */
export interface Schedule<S> {
  /** Sequences whose one remaining token is computed, in the order of their slots. */
  readonly decode: readonly S[];
  readonly chunk: ScheduledChunk<S> | undefined;
}

/**
 * Policy of one step. A sequence with one token left to compute is a decode row, and all of those go on in every step; one with more
 * is in prefill, and one chunk a step is computed: of an interactive sequence, while there is one in prefill.
 * @param running sequences in the order of their slots; of each class at most one is in prefill
 */
export function schedule<S extends Schedulable>(running: readonly S[], limits: ChunkLimits): Schedule<S> {
  const decode = running.filter(({ numRemainingTokens }) => numRemainingTokens === 1);
  const prefilling = running.filter(({ numRemainingTokens }) => numRemainingTokens > 1);
  const sequence = prefilling.find(({ priority }) => priority === 'interactive') ?? prefilling[0];
  return { decode, chunk: sequence && nextChunk(sequence, maxTokensBeside(decode, sequence, limits)) };
}

/** Background rows do not make the chunks of an interactive prompt shorter. */
function maxTokensBeside(decode: readonly Schedulable[], { priority }: Schedulable, limits: ChunkLimits): number {
  const { maxChunkTokens, maxLoneChunkTokens = maxChunkTokens } = limits;
  const isHeldUp = decode.some((row) => row.priority === 'interactive' || priority === 'background');
  return isHeldUp ? maxChunkTokens : maxLoneChunkTokens;
}

function nextChunk<S extends Schedulable>(sequence: S, maxTokens: number): ScheduledChunk<S> {
  const { numComputedTokens, numRemainingTokens, prefixIndex = 0 } = sequence;
  const beforePrefix = prefixIndex > numComputedTokens ? prefixIndex - numComputedTokens : numRemainingTokens;
  const numTokens = Math.min(numRemainingTokens, beforePrefix, maxTokens);
  return { sequence, numTokens, isLast: numTokens === numRemainingTokens };
}
