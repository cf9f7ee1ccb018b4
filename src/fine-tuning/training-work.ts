import fs from 'node:fs/promises';
import path from 'node:path';

import { exists, replaceFile } from '../disk/durable.js';
import { resultFileId } from '../files/file.js';
import type { FileStore } from '../files/file-store.js';
import type { JobChange, JobProblem } from '../jobs/job.js';
import type { JobOutcome } from '../jobs/job-queue.js';
import type { JobStore } from '../jobs/job-store.js';
import { type JobWork, type RunningJob, whenStoreIsBack } from '../jobs/job-worker.js';
import { CONFIG_FILE, MODEL_FILE } from '../prefix/adapter/format.js';
import type { PrefixLibrary, PrefixQuota } from '../prefix/library.js';
import type { ProgressLine } from '../tuning/progress/progress-meter.js';
import { tooLongWords } from '../tuning/data/too-long.js';
import type { Stop } from '../tuning/training/trainer.js';
import type { TooLongReport } from '../tuning/tune.js';
import { FINE_TUNING, type FineTuningJob } from './job.js';
import { deathProblem, fieldOf, problemOf, serverFault } from './job-problem.js';
import { prepareTask } from './prepare-task.js';
import { ProgressReporter } from './progress-reporter.js';
import { type Trainer, TrainingCrashedError, type TrainingTask } from './trainer.js';

/** Times that a job is trained whose process ends by itself: it may have been the machine. */
const ATTEMPTS = 3;

export interface TrainingWorkOptions {
  readonly jobs: JobStore<FineTuningJob>;
  readonly files: FileStore;
  readonly library: Pick<PrefixLibrary, 'upload' | 'files'>;
  /** The base model's id. */
  readonly baseModel: string;
  readonly trainer: Trainer;
  /** Most that a tenant may keep. */
  readonly quota: (tenant: string) => Promise<PrefixQuota>;
  /** Longest training of one job. */
  readonly maxSeconds: number;
  /** Variable that names the directory of the jobs' files, for messages. */
  readonly place: string;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Work of fine-tuning jobs: fetches a tenant's file, trains on it, and stores the prefix under the tenant's name. */
export class TrainingWork implements JobWork<FineTuningJob> {
  readonly kind = FINE_TUNING;
  readonly problemOf = problemOf;
  readonly deathProblem = deathProblem;

  constructor(private readonly options: TrainingWorkOptions) {}

  serverFault(error: unknown): JobProblem {
    return serverFault(error, this.options.place);
  }

  async run(running: RunningJob<FineTuningJob>): Promise<JobOutcome> {
    const { maxSeconds } = this.options;
    const { tenant, job, directory, signal, tell } = running;
    const trained = path.join(directory, 'trained'); // is there once the files of `out` are whole
    if (await exists(trained)) return 'done';
    const task = await prepareTask(this.options, tenant, job, directory);
    const stop = await this.#train(running, { ...task, out: outOf(directory), maxSeconds });
    if (stop === 'interrupted') return 'interrupted';
    await replaceFile(trained, new Uint8Array());
    if (stop === 'time_limit') {
      const message = `Training was ended after ${maxSeconds} s, which is as long as one job may train here`;
      await whenStoreIsBack(() => tell({ level: 'warn', message }), signal);
    }
    return 'done';
  }

  async finish({ tenant, job, directory, tell }: RunningJob<FineTuningJob>): Promise<JobChange<FineTuningJob>> {
    const { library, quota, files, now } = this.options;
    const [config, model, curve] = (await Promise.all(
      [CONFIG_FILE, MODEL_FILE, 'curve.jsonl'].map((file) => fs.readFile(path.join(outOf(directory), file))),
    )) as [Buffer, Buffer, Buffer];
    const { record } = await library.upload(tenant, { name: job.name, config, model }, await quota(tenant));
    const id = resultFileId(job.id);
    if ((await files.get(tenant, id)) === undefined) {
      const filename = `${job.id}-curve.jsonl`;
      const purpose = 'fine-tune-results';
      await files.put(tenant, { id, filename, purpose, bytes: curve.byteLength, created: now() }, curve);
    }
    const fineTunedModel = `${job.name}@${record.version.slice(0, 12)}`;
    await tell({ message: `New model created: ${fineTunedModel}` });
    return { fineTunedModel, trainedTokens: learnedTokens(curve.toString()), resultFiles: [id] };
  }

  async #train({ tenant, job, signal, tell }: RunningJob<FineTuningJob>, task: TrainingTask): Promise<Stop> {
    const { jobs, trainer, now } = this.options;
    const reporter = new ProgressReporter(jobs, { tenant, id: job.id }, now);
    await tell({ message: 'Training started' });
    try {
      const onProgress = (line: ProgressLine): void => reporter.report(line);
      const onTooLong = ({ subject, ...counts }: TooLongReport): void =>
        reporter.warn(`${fieldOf(subject)}: ${tooLongWords(counts)}`);
      for (let attempt = 1; ; attempt++) {
        try {
          return await trainer(task, { signal, onProgress, onTooLong });
        } catch (error) {
          if (!(error instanceof TrainingCrashedError) || attempt === ATTEMPTS) throw error;
          await tell({ level: 'warn', message: 'The training process ended; it is started again' });
        }
      }
    } finally {
      await reporter.settle();
    }
  }
}

function outOf(directory: string): string {
  return path.join(directory, 'out');
}

/** Tokens that were learned from, over all steps. */
function learnedTokens(curve: string): number {
  const points = curve.split('\n').filter((line) => line !== '');
  return points.reduce((sum, line) => sum + ((JSON.parse(line) as { learned_tokens?: number }).learned_tokens ?? 0), 0);
}
