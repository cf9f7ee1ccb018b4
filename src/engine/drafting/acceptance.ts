/** Weight that a kind of guess has lost after each further one. */
const DECAY = 0.99;
/** What is believed of a kind of guess before there are any: as if so many had been made, and this part of them right. */
const PRIOR = { guesses: 4, right: 0.4 };

/** How often guesses of each of some kinds were right, of late. */
export class Acceptance {
  readonly #guesses: Float64Array;
  readonly #right: Float64Array;

  constructor(kinds: number) {
    this.#guesses = new Float64Array(kinds);
    this.#right = new Float64Array(kinds);
  }

  /** How likely a guess of a kind is to be right, 0 to 1. */
  of(kind: number): number {
    const { guesses, right } = PRIOR;
    return (at(this.#right, kind) + guesses * right) / (at(this.#guesses, kind) + guesses);
  }

  /** A guess of a kind was made, and its token has come or another one. */
  note(kind: number, wasRight: boolean): void {
    this.#guesses[kind] = DECAY * at(this.#guesses, kind) + 1;
    this.#right[kind] = DECAY * at(this.#right, kind) + Number(wasRight);
  }
}

function at(values: Float64Array, index: number): number {
  return values[index] ?? 0;
}
