/** Weight of the newest step. */
const WEIGHT = 0.1;
/** Steps that are measured before drafts are tried. */
const LEAST_STEPS = 4;
/** Steps with drafts after which one without is measured again. */
const STEPS_BETWEEN = 64;
/** A step takes no longer, over those before, than is learned from: the rest is another program's time. */
const MOST_SURPRISE = 1.5;

/** How long some kind of step takes without drafts, of late: a mean, the older the less, that drafts are compared with. */
export class PlainTime {
  #mean = 0;
  #steps = 0;
  #since = 0;

  /** Seconds, or what else was noted; 0 before anything was. */
  get mean(): number {
    return this.#mean;
  }

  /** Whether a step without drafts is to be measured before one with drafts is tried again. */
  get isDue(): boolean {
    return this.#steps < LEAST_STEPS || this.#since >= STEPS_BETWEEN;
  }

  /** Learns from a step without drafts. */
  note(measured: number): void {
    const weight = Math.max(WEIGHT, 1 / ++this.#steps);
    const counted = this.#steps === 1 ? measured : Math.min(measured, MOST_SURPRISE * this.#mean);
    this.#mean += weight * (counted - this.#mean);
    this.#since = 0;
  }

  /** Takes note of a step with drafts. */
  noteDrafts(): void {
    this.#since++;
  }
}
