/** Weight that earlier steps lose with each further one. */
const DECAY = 0.98;
/** Steps that the guess to begin with counts as. */
const PRIOR_WEIGHT = 2;
/** A step takes no longer, over what was expected, than is learned from: the rest is another program's time. */
const MOST_SURPRISE = 1.5;

type Vector = readonly [number, number, number];

/**
 * Time of the rows of a step with drafts over that of a step without, for one number of rows. It is linear in the tokens of the longest
 * row, which are attended to one after another, and in all tokens; the coefficients follow the steps that were measured, the older the less.
 */
export class StepCost {
  /** Normal equations of the coefficients, as sums over the steps: products of the terms, and of terms and costs. */
  readonly #products = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  readonly #sums = [0, 0, 0];
  #coefficients: Vector;
  readonly #prior: Vector;

  constructor(private readonly rows: number) {
    // As measured on processors with AVX2 and AVX-512, on models small and large: near the dearest of them.
    this.#prior = [0.1, rows === 1 ? 0 : 0.1, 0.35 * (rows / (rows + 3))];
    this.#coefficients = this.#prior;
  }

  /** Expected cost of a step: 1 is that of a step without drafts, and the least. */
  of(longest: number, tokens: number): number {
    return Math.max(1, 1 + dot(this.#coefficients, this.#terms(longest, tokens)));
  }

  /** Learns what a step has cost, over one without drafts. */
  note(longest: number, tokens: number, cost: number): void {
    const terms = this.#terms(longest, tokens);
    const counted = Math.min(cost, MOST_SURPRISE * this.of(longest, tokens)) - 1;
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) accumulate(this.#products, 3 * i + j, (terms[i] ?? 0) * (terms[j] ?? 0));
      accumulate(this.#sums, i, (terms[i] ?? 0) * counted);
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
