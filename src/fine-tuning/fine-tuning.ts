import type { Files } from '../files/files.js';
import { newJobId } from '../jobs/job.js';
import type { JobQueue } from '../jobs/job-queue.js';
import { Jobs, type JobsOptions } from '../jobs/jobs.js';
import { everything, type Page, pageOf, type PageOptions } from '../lib/page.js';
import { FineTuningError } from './errors.js';
import { FINE_TUNING, type FineTuningJob, type JobRequest } from './job.js';

export interface FineTuningOptions extends Omit<JobsOptions<FineTuningJob>, 'kind'> {
  readonly files: Pick<Files, 'check'>;
  /** Undefined where nobody takes jobs. */
  readonly queue: Pick<JobQueue, 'add'> | undefined;
  /** Fingerprint of the base model. */
  readonly fingerprint: string;
}

/** The fine-tuning jobs of all tenants, as requests use them. */
export class FineTuning extends Jobs<FineTuningJob> {
  readonly #options: FineTuningOptions;

  constructor(options: FineTuningOptions) {
    super({ ...options, kind: FINE_TUNING });
    this.#options = options;
  }

  /**
   * Queues a job. The worker reads its files, and finds out what is wrong with them.
   * @throws FineTuningError `fine_tuning_off`, FileError `file_not_found`, JobError `too_many_jobs`
   */
  async create(tenant: string, request: Omit<JobRequest, 'name'>): Promise<FineTuningJob> {
    const { files, queue, fingerprint, now } = this.#options;
    if (queue === undefined) throw new FineTuningError('fine_tuning_off', 'This server does not train.');
    const { trainingFile, validationFile } = request;
    await files.check(tenant, trainingFile, 'fine-tune', 'training_file');
    if (validationFile !== null) await files.check(tenant, validationFile, 'fine-tune', 'validation_file');
    const id = newJobId(FINE_TUNING);
    const job: FineTuningJob = {
      ...request,
      id,
      name: request.suffix ?? id,
      fingerprint,
      created: now(),
      status: 'queued',
      finished: null,
      estimatedFinish: null,
      fineTunedModel: null,
      trainedTokens: null,
      resultFiles: [],
      error: null,
    };
    await this.add(tenant, job, queue);
    return job;
  }

  /**
   * Newest first.
   * @param metadata pairs that a job must have; null: only jobs without any; undefined: all jobs
   */
  override async list(
    tenant: string,
    options: PageOptions,
    metadata?: JobRequest['metadata'],
  ): Promise<Page<FineTuningJob>> {
    const list = (page: PageOptions): Promise<Page<FineTuningJob>> => super.list(tenant, page);
    if (metadata === undefined) return list(options);
    const wanted = (await everything(list)).filter((job) => hasMetadata(job, metadata));
    return pageOf(wanted, options);
  }
}

function hasMetadata(job: FineTuningJob, wanted: JobRequest['metadata']): boolean {
  const own = job.metadata ?? {};
  if (wanted === null) return Object.keys(own).length === 0;
  return Object.entries(wanted).every(([key, value]) => own[key] === value);
}
