import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import { type JobRef, newEvent } from './job.js';
import type { JobStore } from './job-store.js';

/** From one event about a step to the next. Milliseconds. */
const EVERY = 5000;

/** Tells the store how a running job stands: every validation, the first step, and then one about every five seconds. */
export class ProgressReporter {
  #last = -Infinity;
  #writing: Promise<unknown> = Promise.resolve();

  /** @param now Unix milliseconds */
  constructor(
    private readonly jobs: JobStore,
    private readonly job: JobRef,
    private readonly now: () => number,
  ) {}

  report({ point, total, secondsLeft }: ProgressLine): void {
    const now = this.now();
    if (!('valid_loss' in point) && now - this.#last < EVERY) return;
    this.#last = now;
    const loss =
      'valid_loss' in point ? `validation loss=${round(point.valid_loss)}` : `training loss=${round(point.train_loss)}`;
    const event = newEvent(now, {
      type: 'metrics',
      message: `Step ${point.step}/${total}: ${loss}`,
      data: { ...point, total_steps: total },
    });
    const { tenant, id } = this.job;
    this.#write(() => this.jobs.addEvent(tenant, id, event));
    this.#write(() => this.jobs.change(tenant, id, ['running'], { estimatedFinish: now + secondsLeft * 1000 }));
  }

  /** Settles when all is written. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  /** One after the other; what a store that is away does not get is lost. */
  #write(write: () => Promise<unknown>): void {
    this.#writing = this.#writing.then(write).catch(() => undefined);
  }
}

function round(loss: number): string {
  return loss.toFixed(4);
}
