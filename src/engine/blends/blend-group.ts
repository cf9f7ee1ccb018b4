import type { BlendRequest, GenerationRequest } from '../request.js';
import { blendBudgetOf, isPromptScored } from '../request.js';
import { rankToken, scoreToken } from '../sampling/logprobs.js';
import type { LogitsRow } from '../sampling/logits-row.js';
import type { Sequence } from '../sequence.js';
import type { Branch, SequenceGroup } from '../sequence-group.js';
import { emitNextToken, finish } from '../step/next-token.js';
import { blendRows } from './blend-row.js';

/** The request of each entry's sequence, in order. A prompt that is scored is computed anew by each, a token a step. */
export function toEntryRequests({ entries, ...request }: BlendRequest): [GenerationRequest, ...GenerationRequest[]] {
  const [first, ...others] = entries.map(({ prefix, promptGroup }): GenerationRequest => {
    return { ...request, prefix, promptGroup: isPromptScored(request) ? undefined : promptGroup };
  });
  if (first === undefined) throw new RangeError('a blend has at least one entry');
  return [first, ...others];
}

/**
 * The sequences of one blend, one for each entry, in step with each other: all have the same tokens, each behind its own prefix. The first
 * has the text and the events, and keeps slots for the others, which are computed behind it, one prefill after the other. Whoever has its
 * prompt computes the last token of it again in each step until all have. Then each step computes a row for each, and their weighted
 * log-probabilities choose the next token of all.
 *
 * A scored prompt is computed by steps of one token, because the score of a token needs the rows of all entries in one step.
 */
export class BlendGroup implements SequenceGroup<Sequence> {
  readonly isBlend = true;
  /** Rows of the sequences that the present step has computed, valid until the next one. */
  readonly #rows = new Map<Sequence, LogitsRow>();

  /** @param sequences one for each entry of the request, in order */
  constructor(
    readonly sequences: readonly [Sequence, ...Sequence[]],
    private readonly request: BlendRequest,
  ) {
    const isScored = isPromptScored(request);
    for (const sequence of sequences) {
      sequence.group = this;
      if (isScored) sequence.tokens.length = 1;
    }
    this.restart();
  }

  get tokenBudget(): number {
    return blendBudgetOf(this.request);
  }

  get starting(): readonly Sequence[] {
    const [first, ...others] = this.sequences;
    return first.status === 'running' ? others.filter(({ status }) => status === 'waiting') : [];
  }

  /** One: the whole row is read. */
  numBestOf(): number {
    return 1;
  }

  read(sequence: Sequence, row: LogitsRow): void {
    this.#rows.set(sequence, row);
  }

  advance(onToken: (sequence: Sequence) => void): Branch<Sequence>[] {
    const [first] = this.sequences;
    if (this.#rows.size < this.sequences.length) this.#wait();
    else if (first.tokens.length < first.request.prompt.length) this.#scorePrompt(this.#blend(0));
    else {
      onToken(first);
      emitNextToken(first, this.#blend(first.request.sampling.temperature));
    }
    this.#rows.clear();
    this.#follow();
    return [];
  }

  /** Keeps slots for all entries: none has one. The tokens so far stay, and are computed again. */
  restart(): void {
    const [first] = this.sequences;
    first.numSlots = this.sequences.length;
    this.#rows.clear();
  }

  checkIntegrity(): void {
    const [first, ...others] = this.sequences;
    if (first.status !== 'running') throw new Error('a blend runs without its first sequence');
    const numStarting = this.starting.length;
    if (first.numSlots !== 1 + numStarting) {
      throw new Error(`a blend keeps ${first.numSlots - 1} slots for ${numStarting} sequences`);
    }
    const tokens = first.tokens.join();
    if (others.some((other) => other.tokens.join() !== tokens)) throw new Error('the tokens of a blend differ');
  }

  /** Nothing is chosen yet: those that have come to their last token compute it again. */
  #wait(): void {
    for (const sequence of this.#rows.keys()) sequence.numComputedTokens -= 1;
  }

  #blend(temperature: number): LogitsRow {
    const rows = this.sequences.flatMap((sequence, i) => {
      const row = this.#rows.get(sequence);
      const entry = this.request.entries[i];
      return row && entry ? [{ row, weight: entry.weight }] : [];
    });
    const { logprobs = 0, promptLogprobs = 0 } = this.request;
    return blendRows(rows, temperature, Math.max(logprobs, promptLogprobs));
  }

  /** Goes on with the next token of the prompt, and sends its score, unless it was sent before the blend gave its slots up. */
  #scorePrompt(row: LogitsRow): void {
    const [first] = this.sequences;
    const { promptLogprobs = 0, promptRanks = false } = this.request;
    const { tokens, promptScores, request } = first;
    const id = request.prompt[tokens.length];
    if (id === undefined) throw new Error('the prompt has no such token');
    if (promptScores.length < tokens.length) {
      first.sendPromptScores([(promptRanks ? rankToken : scoreToken)(row, id, promptLogprobs)]);
    }
    tokens.push(id);
    if (tokens.length === request.prompt.length && request.maxTokens === 0) finish(first, 'length');
  }

  /** Gives the others the tokens of the first, and its end. */
  #follow(): void {
    const [{ tokens, finishReason }, ...others] = this.sequences;
    for (const other of others) {
      other.tokens.push(...tokens.slice(other.tokens.length));
      if (finishReason !== undefined) other.end(finishReason);
    }
  }
}
