import { uniform } from '../../engine/sampling/random.js';

/** Seeded numbers: the same seed and stream give the same ones on every machine. */
export class RandomStream {
  #drawn = 0;

  constructor(
    private readonly seed: number,
    private readonly stream: number,
  ) {}

  /** In [0, 1). */
  uniform(): number {
    return uniform(this.seed, this.stream, this.#drawn++);
  }

  /** From the standard normal distribution (Box and Muller 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** 0 to `count` - 1 in random order (Fisher and Yates). */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, index) => index);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }
}
