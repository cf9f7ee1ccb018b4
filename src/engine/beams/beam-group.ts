import { BeamSearch } from './beam-search.js';
import { bannedTokens, forcedToken } from '../sampling/bans.js';
import { BestTokens } from '../sampling/best-tokens.js';
import { scoreForced } from '../sampling/logprobs.js';
import type { LogitsRow } from '../sampling/logits-row.js';
import { emitHypothesis } from '../step/next-token.js';
import { type BeamRequest, type GenerationRequest, type ScoredToken, tokenBudgetOf } from '../request.js';
import type { Sequence } from '../sequence.js';
import type { Branch, SequenceGroup } from '../sequence-group.js';

/** Request of each sequence of a beam search: nothing is drawn. */
export function toSequenceRequest(request: BeamRequest): GenerationRequest {
  const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined };
  return { ...request, sampling, choice: 0, minTokens: request.minTokens ?? 0, stop: [] };
}

/**
 * The sequences of one beam search, in step with each other. The first computes the prompt and keeps slots for the others, which
 * begin when it has come to its first token. A beam that goes on stays in its slot; those whose beam was dropped take up the second
 * and further continuations of others. What sequence i sends, when the search is over, is the i-th best hypothesis.
 */
export class BeamGroup implements SequenceGroup<Sequence> {
  readonly isBlend = false;
  /** None: beams go on from copies. */
  readonly starting = [];
  #search: BeamSearch;
  readonly #numTops: number;
  /** Best tokens behind the beams that this step has computed. */
  readonly #continuations = new Map<Sequence, readonly ScoredToken[]>();
  /** Those that go on, best beam first. */
  #running: readonly Sequence[];

  /** @param sequences as many as the search is wide */
  constructor(
    readonly sequences: readonly [Sequence, ...Sequence[]],
    private readonly request: BeamRequest,
  ) {
    this.#search = this.#begin();
    this.#numTops = request.logprobs ?? 0;
    this.#running = sequences.slice(0, 1);
    for (const sequence of sequences) sequence.group = this;
  }

  get tokenBudget(): number {
    return tokenBudgetOf(this.request, this.sequences.length);
  }

  numBestOf(sequence: Sequence): number {
    return Math.max(this.#search.numContinuations + bannedTokens(sequence).size, this.#numTops);
  }

  read(sequence: Sequence, row: LogitsRow): void {
    const forced = forcedToken(sequence);
    if (forced !== undefined) {
      this.#continuations.set(sequence, [scoreForced(forced, this.#numTops)]);
      return;
    }
    const banned = bannedTokens(sequence);
    const best = [...new BestTokens(row, this.#search.numContinuations + banned.size)];
    const top = new BestTokens(row, this.#numTops);
    const allowed = best.filter(({ id }) => !banned.has(id));
    // Where too few are left, banned ones keep the search going, as in Transformers.
    const rest = best.filter(({ id }) => banned.has(id)).map(({ id }) => ({ id, logprob: -Infinity }));
    const continuations = [...allowed, ...rest].slice(0, this.#search.numContinuations);
    this.#continuations.set(
      sequence,
      continuations.map((token) => ({ ...token, top })),
    );
  }

  /**
   * Once each running beam is read: gives every sequence the tokens of its next beam, or sends the hypotheses when the search is over.
   * @returns the sequences whose slots have to become copies of others', before the next step
   */
  advance(onToken: (sequence: Sequence) => void): Branch<Sequence>[] {
    if (this.#continuations.size < this.#running.length) return [];
    const parents = this.#running;
    for (const parent of parents) onToken(parent);
    const beams = this.#search.advance(parents.map((sequence) => this.#continuations.get(sequence) ?? []));
    this.#continuations.clear();
    if (beams.length === 0) return this.#finish();
    const branches = this.#assign(beams.map(({ parent }) => parents[parent]));
    beams.forEach(({ tokens }, i) => this.#running[i]?.generate(tokens.map(({ id }) => id)));
    return branches;
  }

  /** Begins anew, from the prompt: nothing is kept of the tokens so far. */
  restart(): void {
    this.#search = this.#begin();
    this.#continuations.clear();
    this.#running = this.sequences.slice(0, 1);
    for (const sequence of this.sequences) sequence.tokens.length = sequence.request.prompt.length;
  }

  checkIntegrity(): void {
    const kept = this.sequences.reduce((slots, { slot, numSlots }) => slots + (slot === undefined ? 0 : numSlots), 0);
    if (kept > this.sequences.length) throw new Error(`a beam search has ${kept} slots of ${this.sequences.length}`);
  }

  #begin(): BeamSearch {
    const { width, lengthPenalty, maxTokens, earlyStopping = false } = this.request;
    const [first] = this.sequences;
    first.numSlots = width;
    return new BeamSearch({ width, lengthPenalty, maxTokens, earlyStopping, endTokens: first.endTokens });
  }

  /** Finds a sequence for each beam: its parent's, or else one that no beam goes on in. */
  #assign(parents: readonly (Sequence | undefined)[]): Branch<Sequence>[] {
    const branches: Branch<Sequence>[] = [];
    const free = this.sequences.filter((sequence) => !parents.includes(sequence));
    this.#running = parents.flatMap((parent, i) => {
      const child = parents.indexOf(parent) === i ? parent : free.shift();
      if (parent && child && parent !== child)
        branches.push({ parent, child, numSharedTokens: countShared(parent, child) });
      return child ?? [];
    });
    if (branches.length > 0) for (const sequence of this.sequences) sequence.numSlots = 1;
    return branches;
  }

  #finish(): Branch<Sequence>[] {
    this.#running = [];
    const [{ promptScores }] = this.sequences;
    this.sequences.forEach((sequence, i) => {
      const { hypotheses } = this.#search;
      // A search that a forced token ends has fewer than it has beams.
      const hypothesis = hypotheses[i] ?? hypotheses.at(-1);
      if (i > 0) sequence.sendPromptScores(promptScores);
      if (hypothesis) emitHypothesis(sequence, hypothesis);
    });
    return [];
  }
}

/** Leading tokens that two beams have from the same ancestor: two beams of a search never come to the same tokens by themselves. */
function countShared(parent: Sequence, { tokens, numComputedTokens, slot }: Sequence): number {
  if (slot === undefined) return 0;
  const differs = tokens.findIndex((id, index) => index >= numComputedTokens || id !== parent.tokens[index]);
  return differs < 0 ? tokens.length : differs;
}
