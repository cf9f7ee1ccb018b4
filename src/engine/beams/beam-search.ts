import type { EarlyStopping, ScoredToken } from '../request.js';

/** Settings of a beam search. */
export interface BeamOptions {
  /** Beams that go on together, and hypotheses that are kept. */
  readonly width: number;
  /** As in `BeamRequest`. */
  readonly lengthPenalty: number;
  /** As in `BeamRequest`. */
  readonly earlyStopping?: EarlyStopping | undefined;
  /** Generated tokens at most; at least 1. */
  readonly maxTokens: number;
  /** Tokens that end a hypothesis. */
  readonly endTokens: ReadonlySet<number>;
}

/** Generated tokens and the sum of their natural log-probabilities. */
export interface Beam {
  readonly tokens: readonly ScoredToken[];
  readonly logprob: number;
}

/** A beam that goes on: one of those before it and one more token. */
export interface NextBeam extends Beam {
  /** Index of the beam that it continues, in the order of the last call. */
  readonly parent: number;
}

/** A finished beam. */
export interface Hypothesis extends Beam {
  /** Log-probability divided by the number of tokens, the end token among them, to the power of the length penalty. */
  readonly score: number;
  /** `stop`: its last token is an end token. */
  readonly reason: 'stop' | 'length';
}

/**
 * Beam search as `generate(num_beams=width, do_sample=False)` of Transformers 5 does it (`_beam_search` in `generation/utils.py`),
 * on tokens and log-probabilities alone: it knows of no model, and the caller computes what comes next.
 */
export class BeamSearch {
  #running: readonly NextBeam[] = [{ tokens: [], logprob: 0, parent: 0 }];
  #hypotheses: readonly Hypothesis[] = [];

  constructor(private readonly options: BeamOptions) {}

  /** Finished beams, the best `width`, best first; all of them when the search is over. */
  get hypotheses(): readonly Hypothesis[] {
    return this.#hypotheses;
  }

  /**
   * How many of the best tokens behind each beam `advance` has to see: as many as there are beams that may go on, and as many again
   * as there are end tokens, which do not.
   */
  get numContinuations(): number {
    return this.options.width + this.options.endTokens.size;
  }

  /**
   * Chooses the beams that go on: one beam, without tokens, before the first call, and `width` of them after it.
   * @param continuations for each beam that goes on, in order, the best tokens behind it, best first
   * @returns best first; none when the search is over
   */
  advance(continuations: readonly (readonly ScoredToken[])[]): readonly NextBeam[] {
    const { width } = this.options;
    const candidates = this.#rank(continuations);
    // An end token that is not among the best `width` candidates ends nothing and goes nowhere.
    this.#keep(candidates.slice(0, width).filter((one) => this.#ends(one)));
    const next = candidates.filter((one) => !this.#ends(one)).slice(0, width);
    this.#running = next.map((one) => ({ ...this.#extend(one), parent: one.parent }));
    if (this.#isOver()) this.#running = [];
    return this.#running;
  }

  /** Every beam with every token behind it, best first; equal ones by beam, then as they came. */
  #rank(continuations: readonly (readonly ScoredToken[])[]): Candidate[] {
    const candidates = this.#running.flatMap((beam, parent) =>
      (continuations[parent] ?? []).map((token) => ({ parent, token, logprob: beam.logprob + token.logprob })),
    );
    return candidates.sort((a, b) => b.logprob - a.logprob);
  }

  #ends({ parent, token }: Candidate): boolean {
    const length = (this.#running[parent]?.tokens.length ?? 0) + 1;
    return length >= this.options.maxTokens || this.options.endTokens.has(token.id);
  }

  #extend({ parent, token, logprob }: Candidate): Beam {
    return { tokens: [...(this.#running[parent]?.tokens ?? []), token], logprob };
  }

  #keep(finished: readonly Candidate[]): void {
    const hypotheses = finished.map((candidate): Hypothesis => {
      const beam = this.#extend(candidate);
      const reason = this.options.endTokens.has(candidate.token.id) ? 'stop' : 'length';
      return { ...beam, score: this.#score(beam), reason };
    });
    this.#hypotheses = [...this.#hypotheses, ...hypotheses]
      .sort((a, b) => b.score - a.score)
      .slice(0, this.options.width);
  }

  #isOver(): boolean {
    const { width, earlyStopping } = this.options;
    const [best] = this.#running;
    const worst = this.#hypotheses[width - 1];
    if (best === undefined || worst === undefined) return best === undefined;
    return earlyStopping === true || !(this.#hope(best) > worst.score);
  }

  /** Score that a beam may come to, judged at its present length, or at the greatest one where that is better and asked for. */
  #hope(beam: Beam): number {
    const { earlyStopping, lengthPenalty, maxTokens } = this.options;
    const length = earlyStopping === 'never' && lengthPenalty > 0 ? maxTokens : beam.tokens.length;
    return beam.logprob / length ** lengthPenalty;
  }

  #score({ logprob, tokens }: Beam): number {
    return logprob / tokens.length ** this.options.lengthPenalty;
  }
}

interface Candidate {
  readonly parent: number;
  readonly token: ScoredToken;
  /** Of the beam with the token. */
  readonly logprob: number;
}
