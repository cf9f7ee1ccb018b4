import { type Batch, BATCHES } from '../../batches/batch.js';
import type { BatchRunDeps } from '../../batches/batch-run.js';
import { Batches } from '../../batches/batches.js';
import { BatchWork, type BatchWorkOptions } from '../../batches/batch-work.js';
import { LineWindow } from '../../batches/line-window.js';
import type { Settings } from '../../config/variables.js';
import { type JobObserver, JobWorker } from '../../jobs/job-worker.js';
import { JobRecovery } from '../../jobs/recovery.js';
import type { RedisConnection } from '../../redis/connection.js';
import type { OpenFiles } from './files.js';
import { openJobs } from './jobs.js';

export interface OpenBatches {
  readonly batches: Batches;
  /** Begins to do batches, first those that an earlier process left. */
  start(deps: BatchStart): Promise<void>;
  /** Gives running batches back. Later calls return the promise of the first. */
  close(): Promise<void>;
}

/** The parts of the program that batches are done with. */
interface BatchStart extends Pick<BatchWorkOptions, 'onEnd'> {
  readonly run: Omit<BatchRunDeps, 'window'>;
  readonly observer: JobObserver;
}

export interface BatchParts extends OpenFiles {
  /** Fingerprint of the base model. */
  readonly fingerprint: string;
  /** Connection to a store on Redis; undefined on disk. */
  readonly connection: RedisConnection | undefined;
}

type BatchSettings = Settings<'model' | 'store' | 'batches'>;

/** Opens batches beside the prefixes. */
export async function openBatches(
  config: BatchSettings,
  { store: fileStore, files, fingerprint, connection }: BatchParts,
): Promise<OpenBatches> {
  const { batchWorkers: workers, batchLostSeconds: lostSeconds, batchWindow, slots, store } = config;
  const running = { inStore: '.fine-tuning/.batches', inCache: 'batches' };
  const opened = await openJobs<Batch>(config, BATCHES, { connection, fingerprint, workers, lostSeconds, running });
  const { jobs, queue, results, directory } = opened;
  const now = Date.now;
  const batches = new Batches({
    files,
    store: jobs,
    results,
    // Without workers here, other servers do the batches of a Redis.
    queue: workers > 0 || store.kind === 'redis' ? queue : undefined,
    fingerprint,
    maxUnfinished: config.maxBatches,
    now,
  });
  const recovery = new JobRecovery({ jobs, queue, fingerprint, directory });
  const limits = { maxLines: config.maxBatchLines, maxLineBytes: config.maxBatchLineBytes };
  const start = async ({ run, observer, onEnd }: BatchStart): Promise<void> => {
    const window = new LineWindow(batchWindow ?? 2 * slots);
    const work = new BatchWork({
      batches: jobs,
      files: fileStore,
      results,
      run: { ...run, window },
      limits,
      onEnd,
      now,
    });
    await recovery.start();
    await queue.work(new JobWorker({ store: jobs, work, directory, observer, now }));
  };
  let closed: Promise<void> | undefined;
  return {
    batches,
    start: (deps) => (workers > 0 ? start(deps) : Promise.resolve()),
    close: () => (closed ??= recovery.stop().then(() => queue.close())),
  };
}
