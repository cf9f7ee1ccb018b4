/** Weight of the newest step. */
const WEIGHT = 0.1;
/** Steps that are measured before drafts are tried beside chunks. */
const LEAST_STEPS = 4;
/** Steps with drafts after which one without is measured again. */
const STEPS_PER_PLAIN = 32;

/** Time that a chunk of a prompt takes beside decode rows, for one number of rows: as if each of its tokens took the same. */
export class ChunkCost {
  #secondsPerToken = 0;
  #steps = 0;
  #sincePlain = 0;

  /** Whether a step without drafts is to be measured first. */
  get needsPlain(): boolean {
    return this.#steps < LEAST_STEPS || this.#sincePlain >= STEPS_PER_PLAIN;
  }

  /** Seconds that a chunk of so many tokens is expected to add to a step. */
  of(tokens: number): number {
    return tokens * this.#secondsPerToken;
  }

  /**
   * Learns from a step with a chunk; from one with drafts only that there was one.
   * @param seconds of the step
   * @param plain seconds of a step without the chunk
   */
  note(tokens: number, seconds: number, plain: number, hasDrafts: boolean): void {
    this.#sincePlain = hasDrafts ? this.#sincePlain + 1 : 0;
    if (hasDrafts || plain === 0) return;
    const measured = Math.max(0, seconds - plain) / tokens;
    const weight = Math.max(WEIGHT, 1 / ++this.#steps);
    this.#secondsPerToken += weight * (measured - this.#secondsPerToken);
  }
}
