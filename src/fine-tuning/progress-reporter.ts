import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import { type JobRef, newEvent } from '../jobs/job.js';
import type { JobStore } from '../jobs/job-store.js';
import { FINE_TUNING, type FineTuningJob } from './job.js';

/** From one event about a step to the next. */
const EVENT_EVERY_MS = 5000;

/** Adds events of a running job's progress: every validation, the first step, and then a step about every five seconds. */
export class ProgressReporter {
  #last = -Infinity;
  #writing: Promise<unknown> = Promise.resolve();

  /** @param now Unix milliseconds */
  constructor(
    private readonly jobs: JobStore<FineTuningJob>,
    private readonly job: JobRef,
    private readonly now: () => number,
  ) {}

  report({ point, total, secondsLeft }: ProgressLine): void {
    const now = this.now();
    if (!('valid_loss' in point) && now - this.#last < EVENT_EVERY_MS) return;
    this.#last = now;
    const loss =
      'valid_loss' in point ? `validation loss=${round(point.valid_loss)}` : `training loss=${round(point.train_loss)}`;
    const event = newEvent(FINE_TUNING, now, {
      type: 'metrics',
      message: `Step ${point.step}/${total}: ${loss}`,
      data: { ...point, total_steps: total },
    });
    const { tenant, id } = this.job;
    this.#write(() => this.jobs.addEvent(tenant, id, event));
    this.#write(() => this.jobs.change(tenant, id, ['running'], { estimatedFinish: now + secondsLeft * 1000 }));
  }

  /** Adds a warning to the events. */
  warn(message: string): void {
    const event = newEvent(FINE_TUNING, this.now(), { level: 'warn', message });
    this.#write(() => this.jobs.addEvent(this.job.tenant, this.job.id, event));
  }

  /** Settles when all is written. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  /** Writes one after the other; what fails is lost. */
  #write(write: () => Promise<unknown>): void {
    this.#writing = this.#writing.then(write).catch(() => undefined);
  }
}

function round(loss: number): string {
  return loss.toFixed(4);
}
