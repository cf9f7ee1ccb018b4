import type { JobRef } from '../jobs/job.js';
import type { OpenResults } from '../jobs/job-results.js';
import type { JobStore } from '../jobs/job-store.js';
import type { Batch } from './batch.js';

/** From one look at a running batch's record to the next. */
const LOOK_EVERY_MS = 1000;

/** Why the requests of a batch are given up: at its owner's wish, since its time is over, or for now. */
export type StopReason = 'cancelled' | 'expired' | 'interrupted';

export interface BatchWatchOptions {
  readonly batches: JobStore<Batch>;
  readonly ref: JobRef;
  /** As it was last read. */
  readonly batch: Pick<Batch, 'expires' | 'cancelling'>;
  readonly results: Pick<OpenResults, 'counts'>;
  /** Aborted when the process is to end, or the batch is gone. */
  readonly leaving: AbortSignal;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Watches for what ends a running batch before its requests are done, and writes down how many are. */
export class BatchWatch {
  readonly #timer: NodeJS.Timeout;
  readonly #leave = (): void => this.#stop('interrupted');
  #reason: StopReason | undefined;
  #onStop: () => void = () => undefined;
  #written = '';
  #looking: Promise<void> = Promise.resolve();

  constructor(private readonly options: BatchWatchOptions) {
    const { leaving } = options;
    leaving.addEventListener('abort', this.#leave, { once: true });
    if (leaving.aborted) this.#stop('interrupted');
    this.#judge(options.batch);
    // One look after the other: a store may be slow.
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.#look());
    }, LOOK_EVERY_MS);
  }

  /** Calls `stop` once the batch is to end, or at once where it is to end already. */
  onStop(stop: () => void): void {
    this.#onStop = stop;
    if (this.#reason !== undefined) stop();
  }

  /** Ends the watch. Returns why the batch was to end, if it was. */
  async close(): Promise<StopReason | undefined> {
    clearInterval(this.#timer);
    this.options.leaving.removeEventListener('abort', this.#leave);
    await this.#looking;
    return this.#reason;
  }

  async #look(): Promise<void> {
    const { batches, ref, results } = this.options;
    try {
      const counts = await results.counts();
      const text = JSON.stringify(counts);
      const record =
        text === this.#written
          ? await batches.get(ref.tenant, ref.id)
          : await batches.change(ref.tenant, ref.id, ['running'], { counts });
      this.#written = text;
      if (record !== undefined) this.#judge(record); // whoever takes the batch away tells by `leaving`
    } catch {
      // The store is away: it is asked again.
    }
  }

  #judge({ expires, cancelling }: Pick<Batch, 'expires' | 'cancelling'>): void {
    if (cancelling !== null) this.#stop('cancelled');
    else if (this.options.now() >= expires) this.#stop('expired');
  }

  #stop(reason: StopReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#onStop();
  }
}
