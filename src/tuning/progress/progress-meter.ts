import type { CurvePoint } from '../training/trainer.js';

/** Progress of a run. */
export interface ProgressLine {
  readonly point: CurvePoint;
  readonly total: number;
  readonly tokensPerSecond: number;
  /** Until the last step, at the speed so far. */
  readonly secondsLeft: number;
}

/** Measures a run's speed, validations included. */
export class ProgressMeter {
  readonly #start = performance.now();
  #tokens = 0;

  constructor(
    private readonly firstStep: number,
    private readonly total: number,
    private readonly report: (line: ProgressLine) => void = () => undefined,
  ) {}

  add(point: CurvePoint, tokens: number): void {
    this.#tokens += tokens;
    const done = point.step - this.firstStep;
    const secondsLeft = (this.#seconds() / done) * (this.total - point.step);
    this.report({ point, total: this.total, tokensPerSecond: this.tokensPerSecond, secondsLeft });
  }

  get tokensPerSecond(): number {
    return this.#tokens === 0 ? 0 : this.#tokens / this.#seconds();
  }

  #seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }
}
