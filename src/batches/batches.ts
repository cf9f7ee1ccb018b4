import type { Files } from '../files/files.js';
import { JobError } from '../jobs/errors.js';
import { isUnfinished, newJobId } from '../jobs/job.js';
import type { JobQueue } from '../jobs/job-queue.js';
import type { JobResultStore } from '../jobs/job-results.js';
import { Jobs, type JobsOptions } from '../jobs/jobs.js';
import { everything } from '../lib/page.js';
import { type Batch, BATCHES, type BatchRequest, COMPLETION_WINDOW_MS } from './batch.js';
import { BatchError } from './errors.js';

export interface BatchesOptions extends Omit<JobsOptions<Batch>, 'kind'> {
  readonly files: Pick<Files, 'check' | 'checkRoom'>;
  readonly results: Pick<JobResultStore, 'delete'>;
  /** Undefined where nobody does batches. */
  readonly queue: Pick<JobQueue, 'add'> | undefined;
  /** Fingerprint of the base model. */
  readonly fingerprint: string;
}

/** The batches of all tenants, as requests use them. */
export class Batches extends Jobs<Batch> {
  readonly #options: BatchesOptions;

  constructor(options: BatchesOptions) {
    super({ ...options, kind: BATCHES });
    this.#options = options;
  }

  /**
   * Queues a batch. The worker that takes it finds out what is wrong with its file.
   * @throws BatchError `batches_off`, FileError `file_not_found` or `file_quota_exceeded`, JobError `too_many_jobs`
   */
  async create(tenant: string, request: BatchRequest): Promise<Batch> {
    const { files, queue, fingerprint, now } = this.#options;
    if (queue === undefined) throw new BatchError('batches_off', 'This server does no batches.');
    await files.check(tenant, request.inputFile, 'batch', 'input_file_id');
    await files.checkRoom(tenant);
    const created = now();
    const batch: Batch = {
      ...request,
      id: newJobId(BATCHES),
      fingerprint,
      created,
      expires: created + COMPLETION_WINDOW_MS,
      status: 'queued',
      inProgress: null,
      cancelling: null,
      finalizing: null,
      finished: null,
      estimatedFinish: null,
      outcome: null,
      total: 0,
      counts: {},
      problems: [],
      outputFile: null,
      errorFile: null,
      error: null,
    };
    await this.add(tenant, batch, queue);
    return batch;
  }

  /**
   * Cancels a batch at its owner's wish: what is done stays, and the worker ends it within seconds. One that no worker has is cancelled at
   * once. Throws `job_finished` for a batch that has ended or is ending.
   */
  async stop(tenant: string, id: string): Promise<Batch> {
    const { store, now } = this.#options;
    const cancelling = now();
    const change = { status: 'cancelled', outcome: 'cancelled', cancelling, finished: cancelling } as const;
    const queued = await store.change(tenant, id, ['queued'], change);
    if (queued !== undefined) return queued;
    const batch = await this.get(tenant, id);
    if (batch.status === 'running' && batch.cancelling !== null) return batch;
    const running = batch.outcome === null && (await store.change(tenant, id, ['running'], { cancelling }));
    if (running) return running;
    throw new JobError('job_finished', `The batch ${isUnfinished(batch) ? BATCHES.finishing : 'has ended already'}.`);
  }

  /** Cancels every unfinished batch of a tenant that is deleted; nothing of them is kept. */
  override async cancelAll(tenant: string): Promise<void> {
    await super.cancelAll(tenant);
    for (const { id } of await this.#all(tenant)) await this.#options.results.delete({ tenant, id });
  }

  async #all(tenant: string): Promise<readonly Batch[]> {
    return everything((options) => this.list(tenant, options));
  }
}
