interface Waiting {
  readonly pieces: number;
  readonly go: () => void;
}

/** Pieces that may be written in each turn of the event loop: those who ask share a turn as far as they fit, in order, and the others wait. */
export class TurnBudget {
  readonly #waiting: Waiting[] = [];
  #used = 0;

  /** @param piecesATurn what is larger has a turn for itself */
  constructor(private readonly piecesATurn: number) {}

  /** Settles when so many pieces may be written; none count as one. */
  take(pieces: number): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ pieces: Math.max(1, pieces), go });
      this.#serve();
    });
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next && this.#hasRoom(next); next = this.#waiting[0]) {
      this.#waiting.shift();
      if (this.#used === 0) setImmediate(() => this.#begin());
      this.#used += next.pieces;
      next.go();
    }
  }

  #hasRoom({ pieces }: Waiting): boolean {
    return this.#used === 0 || this.#used + pieces <= this.piecesATurn;
  }

  #begin(): void {
    this.#used = 0;
    this.#serve();
  }
}
