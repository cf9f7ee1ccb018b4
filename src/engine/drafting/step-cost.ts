/** Weight that earlier steps lose with each further one. */
const DECAY = 0.98;
/** Steps that the guess to begin with counts as. */
const PRIOR_WEIGHT = 2;
/** Steps of one token a row that are measured before a draft is tried with so many rows. */
const LEAST_PLAIN_STEPS = 4;
/** Steps with drafts after which one without is measured again. */
const STEPS_PER_PLAIN = 64;
/** A step takes no longer, over what was expected, than is learned from: the rest is another program's time. */
const MOST_SURPRISE = 1.5;

type Vector = readonly [number, number, number];

/**
 * Time of steps with drafts over steps without, for one number of rows. It is linear in the tokens of the longest row, which are attended to
 * one after another, and in all tokens; the coefficients follow the steps that were measured, the older the less.
 */
export class StepCost {
  /** Seconds of a step of one token a row, of late. */
  #plain = 0;
  #plainSteps = 0;
  #sincePlain = 0;
  /** Normal equations of the coefficients, as sums over the steps: products of the terms, and of terms and costs. */
  readonly #products = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  readonly #sums = [0, 0, 0];
  #coefficients: Vector;
  readonly #prior: Vector;

  constructor(private readonly rows: number) {
    // As measured on processors with AVX2 and AVX-512: a new token in every row costs 8% of a step of one row, and a third of one of many.
    this.#prior = [0.05, 0.04, 0.35 * (rows / (rows + 3))];
    this.#coefficients = this.#prior;
  }

  /** Seconds of a step of one token a row; 0 before there was any. */
  get plain(): number {
    return this.#plain;
  }

  /** Whether a step without drafts is to be measured first. */
  get needsPlain(): boolean {
    return this.#plainSteps < LEAST_PLAIN_STEPS || this.#sincePlain >= STEPS_PER_PLAIN;
  }

  /** Expected time of a step, over that of one without drafts; at least 1. */
  of(longest: number, tokens: number): number {
    return Math.max(1, 1 + dot(this.#coefficients, this.#terms(longest, tokens)));
  }

  /** Learns from a step that was computed. */
  note(longest: number, tokens: number, seconds: number): void {
    if (longest === 1) this.#notePlain(seconds);
    else this.#noteDrafts(longest, tokens, seconds);
  }

  #notePlain(seconds: number): void {
    const weight = Math.max(0.1, 1 / (this.#plainSteps + 1));
    const counted = this.#plainSteps === 0 ? seconds : Math.min(seconds, MOST_SURPRISE * this.#plain);
    this.#plain += weight * (counted - this.#plain);
    this.#plainSteps++;
    this.#sincePlain = 0;
  }

  #noteDrafts(longest: number, tokens: number, seconds: number): void {
    this.#sincePlain++;
    if (this.#plain === 0) return;
    const terms = this.#terms(longest, tokens);
    const cost = Math.min(seconds / this.#plain, MOST_SURPRISE * this.of(longest, tokens)) - 1;
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) accumulate(this.#products, 3 * i + j, (terms[i] ?? 0) * (terms[j] ?? 0));
      accumulate(this.#sums, i, (terms[i] ?? 0) * cost);
    }
    this.#coefficients = this.#solve();
  }

  /** A constant, tokens of the longest row beyond its first, and the mean of those of all rows. */
  #terms(longest: number, tokens: number): Vector {
    return [1, longest - 1, (tokens - this.rows) / this.rows];
  }

  /** Least squares, drawn to the prior. */
  #solve(): Vector {
    const a = this.#products.map((value, i) => value + (i % 4 === 0 ? PRIOR_WEIGHT : 0));
    const b = this.#sums.map((value, i) => value + PRIOR_WEIGHT * (this.#prior[i] ?? 0));
    return solve3(a, b);
  }
}

function accumulate(sums: number[], index: number, value: number): void {
  sums[index] = DECAY * (sums[index] ?? 0) + value;
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Solves `a x = b` by Cramer's rule; `a` is a matrix `[3, 3]` that is positive definite. */
function solve3(a: readonly number[], b: readonly number[]): Vector {
  const whole = determinant(a);
  const solved = (column: number): number =>
    determinant(a.map((value, i) => (i % 3 === column ? (b[(i - column) / 3] ?? 0) : value))) / whole;
  return [solved(0), solved(1), solved(2)];
}

function determinant(m: readonly number[]): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0] = m;
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}
