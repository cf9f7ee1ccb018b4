import { BeamSearch } from './beam-search.js';
import { bestTokens } from '../sampling/logprobs.js';
import type { LogitsRow } from '../sampling/logits-row.js';
import { emitHypothesis } from '../step/next-token.js';
import type { BeamRequest, GenerationRequest, ScoredToken } from '../request.js';
import type { Sequence } from '../sequence.js';

/** A sequence that goes on from what another one has in its slot. */
export interface Branch {
  readonly parent: Sequence;
  readonly child: Sequence;
}

/** What each sequence of a beam search is made with: nothing of it is drawn. */
export function toSequenceRequest(request: BeamRequest): GenerationRequest {
  const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined };
  return { ...request, sampling, choice: 0, minTokens: 0, stop: [] };
}

/**
 * The sequences of one beam search, in step with each other. The first computes the prompt and keeps slots for the others, which
 * begin when it has come to its first token. A beam that goes on stays in its slot; those whose beam was dropped take up the second
 * and further continuations of others. What sequence i sends, when the search is over, is the i-th best hypothesis.
 */
export class BeamGroup {
  readonly #search: BeamSearch;
  readonly #numTops: number;
  /** Best tokens behind the beams that this step has computed. */
  readonly #continuations = new Map<Sequence, readonly ScoredToken[]>();
  /** Those that go on, best beam first. */
  #running: readonly Sequence[];

  /** @param sequences as many as the search is wide */
  constructor(
    readonly sequences: readonly [Sequence, ...Sequence[]],
    { width, lengthPenalty, maxTokens, logprobs = 0 }: BeamRequest,
  ) {
    const [first] = sequences;
    this.#search = new BeamSearch({ width, lengthPenalty, maxTokens, endTokens: first.endTokens });
    this.#numTops = logprobs;
    this.#running = [first];
    first.numSlots = width;
    for (const sequence of sequences) sequence.group = this;
  }

  /** How many of the best logits of each beam a step must return. */
  get numBest(): number {
    return Math.max(this.#search.numContinuations, this.#numTops);
  }

  /** Takes note of the logits behind one of the running sequences. */
  read(sequence: Sequence, row: LogitsRow): void {
    const best = bestTokens(row, this.numBest);
    const top = best.slice(0, this.#numTops);
    const continuations = best.slice(0, this.#search.numContinuations);
    this.#continuations.set(
      sequence,
      continuations.map((token) => ({ ...token, top })),
    );
  }

  /**
   * Once each running beam is read: gives every sequence the tokens of its next beam, or sends the hypotheses when the search is over.
   * @returns the sequences whose slots have to become copies of others', before the next step
   */
  advance(): Branch[] {
    if (this.#continuations.size < this.#running.length) return [];
    const parents = this.#running;
    const beams = this.#search.advance(parents.map((sequence) => this.#continuations.get(sequence) ?? []));
    this.#continuations.clear();
    if (beams.length === 0) return this.#finish();
    const branches = this.#assign(beams.map(({ parent }) => parents[parent]));
    beams.forEach(({ tokens }, i) => this.#running[i]?.generate(tokens.map(({ id }) => id)));
    return branches;
  }

  /** Finds a sequence for each beam: its parent's, or else one that no beam goes on in. */
  #assign(parents: readonly (Sequence | undefined)[]): Branch[] {
    const branches: Branch[] = [];
    const free = this.sequences.filter((sequence) => !parents.includes(sequence));
    this.#running = parents.flatMap((parent, i) => {
      const child = parents.indexOf(parent) === i ? parent : free.shift();
      if (parent && child && parent !== child) branches.push({ parent, child });
      return child ?? [];
    });
    if (branches.length > 0) for (const sequence of this.sequences) sequence.numSlots = 1;
    return branches;
  }

  #finish(): Branch[] {
    this.#running = [];
    const [{ promptScores }] = this.sequences;
    this.sequences.forEach((sequence, i) => {
      const hypothesis = this.#search.hypotheses[i];
      if (i > 0) sequence.sendPromptScores(promptScores);
      if (hypothesis) emitHypothesis(sequence, hypothesis);
    });
    return [];
  }
}
