import type { EngineObserver, ObservedStep } from '../../engine/observer.js';
import type { EngineInterval } from './engine-event.js';

/** Steps whose times are kept between two events; of more, the newest. */
const MAX_STEPS = 4096;

/** Counts what an engine does between two events. */
export class StepWindow implements EngineObserver {
  readonly #times = new Float64Array(MAX_STEPS);
  #steps = 0;
  #promptTokens = 0;
  #generatedTokens = 0;

  /** @param since when the window begins, in seconds of any clock */
  constructor(private since: number) {}

  /** Sums the window up and begins the next one. @param now seconds of the same clock */
  take(now: number): EngineInterval {
    const times = this.#times.slice(0, Math.min(this.#steps, MAX_STEPS)).sort();
    const interval = {
      seconds: now - this.since,
      steps: this.#steps,
      promptTokens: this.#promptTokens,
      generatedTokens: this.#generatedTokens,
      stepSecondsP50: quantile(times, 0.5),
      stepSecondsP95: quantile(times, 0.95),
    };
    this.since = now;
    this.#steps = this.#promptTokens = this.#generatedTokens = 0;
    return interval;
  }

  stepped({ seconds, chunkTokens }: ObservedStep): void {
    this.#times[this.#steps % MAX_STEPS] = seconds;
    this.#steps++;
    this.#promptTokens += chunkTokens;
  }

  firstToken(): void {
    this.#generatedTokens++;
  }

  nextToken(): void {
    this.#generatedTokens++;
  }

  admitted(): void {}

  promptLookedUp(): void {}

  verified(): void {}

  ended(): void {}
}

/** The smallest value that at least the part `share` of all values does not exceed. @param sorted ascending */
function quantile(sorted: Float64Array, share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
