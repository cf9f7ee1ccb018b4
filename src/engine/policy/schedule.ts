import type { Priority } from '../priority.js';

/** A sequence that holds a slot, as the policy of a step sees it. */
export interface Schedulable {
  readonly priority: Priority;
  /** Tokens that have no keys and values yet, those of a source that is not encoded among them; at least one. */
  readonly numRemainingTokens: number;
  /** Whether its tokens can be computed: its source is encoded, or it has none. */
  readonly isSourceEncoded: boolean;
  readonly numComputedTokens: number;
  /** Index of the token that virtual tokens stand before: no chunk goes across it. */
  readonly prefixIndex: number | undefined;
  /** Whether its prompt's last token is left to a row: others copy the prompt before that row ends it. */
  readonly endsWithPrompt: boolean;
}

export interface ChunkLimits {
  /** Prompt tokens of a step that has decode rows. */
  readonly maxChunkTokens: number;
  /** Prompt tokens of a step without decode rows, which a long step would keep waiting; `maxChunkTokens` unless given. */
  readonly maxLoneChunkTokens?: number;
  /** Source tokens of one layer that are encoded beside decode rows. */
  readonly maxSourceTokens: number;
}

/** Next tokens of a sequence in prefill. */
export interface ScheduledChunk<S> {
  readonly sequence: S;
  readonly numTokens: number;
  /** Whether the last of them is the sequence's last, so that its logits choose the next one. */
  readonly isLast: boolean;
}

/** Next piece of a source. */
export interface ScheduledPiece<S> {
  readonly sequence: S;
  /** Most tokens of one layer; undefined: as many as the source has. */
  readonly maxTokens: number | undefined;
}

/** Work of one step. */
export interface Schedule<S> {
  /** Sequences whose one remaining token is computed, in the order of their slots. */
  readonly decode: readonly S[];
  readonly chunk: ScheduledChunk<S> | undefined;
  /** Of a sequence whose source has to be encoded before its first chunk or row; there is no chunk then. Computed behind the decode rows. */
  readonly piece: ScheduledPiece<S> | undefined;
}

/**
 * Policy of one step. A sequence with one token left to compute is a decode row, and all of those go on in every step; one with more
 * is in prefill, and one chunk of its prompt or piece of its source is computed a step: of an interactive sequence, while there is one
 * in prefill.
 * @param running sequences in the order of their slots; of each class at most one is in prefill
 */
export function schedule<S extends Schedulable>(running: readonly S[], limits: ChunkLimits): Schedule<S> {
  const decode = running.filter(({ numRemainingTokens }) => numRemainingTokens === 1);
  const prefilling = running.filter(({ numRemainingTokens }) => numRemainingTokens > 1);
  const sequence = prefilling.find(({ priority }) => priority === 'interactive') ?? prefilling[0];
  if (sequence === undefined) return { decode, chunk: undefined, piece: undefined };
  const { maxChunkTokens, maxLoneChunkTokens = maxChunkTokens, maxSourceTokens } = limits;
  const isShort = holdsUp(decode, sequence);
  if (!sequence.isSourceEncoded) {
    return { decode, chunk: undefined, piece: { sequence, maxTokens: isShort ? maxSourceTokens : undefined } };
  }
  return { decode, chunk: nextChunk(sequence, isShort ? maxChunkTokens : maxLoneChunkTokens), piece: undefined };
}

/** Whether a prefill keeps decode rows waiting that matter to it: background rows do not make the chunks of an interactive prompt shorter. */
function holdsUp(decode: readonly Schedulable[], { priority }: Schedulable): boolean {
  return decode.some((row) => row.priority === 'interactive' || priority === 'background');
}

function nextChunk<S extends Schedulable>(sequence: S, maxTokens: number): ScheduledChunk<S> {
  const { numComputedTokens, numRemainingTokens, prefixIndex = 0, endsWithPrompt } = sequence;
  const beforePrefix = prefixIndex > numComputedTokens ? prefixIndex - numComputedTokens : numRemainingTokens;
  const numTokens = Math.min(numRemainingTokens - Number(endsWithPrompt), beforePrefix, maxTokens);
  return { sequence, numTokens, isLast: numTokens === numRemainingTokens };
}
