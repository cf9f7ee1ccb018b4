import type { Drafts } from '../drafting/draft-planner.js';
import { numBestOf } from './next-token.js';
import type { Span, StepInput } from '../runner.js';
import type { Schedule, ScheduledChunk } from '../policy/schedule.js';
import type { Sequence } from '../sequence.js';

/**
 * The forward pass of a schedule whose sequences are in their slots; undefined when there is nothing to compute.
 * @param drafts to verify
 */
export function toStepInput(
  { decode, chunk }: Pick<Schedule<Sequence>, 'decode' | 'chunk'>,
  vocabularySize: number,
  drafts?: Drafts,
): StepInput | undefined {
  if (decode.length === 0 && chunk === undefined) return undefined;
  const scored = Math.min(chunk?.sequence.request.promptLogprobs ?? 0, vocabularySize);
  const topK = Math.max(
    1,
    scored,
    ...sampledSequences({ decode, chunk }).map((sequence, row) => numBestOf(sequence, vocabularySize, drafts?.[row])),
  );
  const rows = decode.map((sequence, row) => toDecodeRow(sequence, drafts?.[row]));
  if (chunk) rows.push(toPromptChunk(chunk));
  return { rows, topK, ...(drafts && !chunk && { isVerifying: true }) };
}

/** Those whose next token the step chooses. */
export function sampledSequences({ decode, chunk }: Pick<Schedule<Sequence>, 'decode' | 'chunk'>): readonly Sequence[] {
  return chunk?.isLast ? [...decode, chunk.sequence] : decode;
}

function toDecodeRow(sequence: Sequence, draft: readonly number[] = []): Span {
  const { slot = 0, tokens, past, position, sourceSlot: source } = sequence;
  const temperature = temperatureOf(sequence);
  const logits = draft.length === 0 ? 'last' : 'all';
  return { slot, tokens: [...tokens.slice(-1), ...draft], past, position, source, logits, temperature };
}

function toPromptChunk({ sequence, numTokens, isLast }: ScheduledChunk<Sequence>): Span {
  const { slot = 0, tokens, numComputedTokens: start, past, position, sourceSlot: source } = sequence;
  const logits = sequence.isPromptScored ? 'all' : isLast ? 'last' : 'none';
  return {
    slot,
    tokens: tokens.slice(start, start + numTokens),
    past,
    position,
    source,
    logits,
    temperature: temperatureOf(sequence),
  };
}

/** Greedy rows have no use for tempered logits, and none can be divided by 0. */
function temperatureOf({ request }: Sequence): number {
  return request.sampling.temperature || 1;
}
