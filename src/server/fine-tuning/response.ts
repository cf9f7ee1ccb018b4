import type { FineTuningJob } from '../../fine-tuning/job.js';
import type { JobEvent } from '../../jobs/job.js';
import type { Page } from '../../lib/page.js';
import { toSeconds } from '../schema/seconds.js';
import type { Job, JobEventList, JobEventObject, JobList } from './schema.js';

/** @param tenant the caller */
export function toJob(job: FineTuningJob, tenant: string): Job {
  const { settings } = job;
  const hyperparameters = {
    n_epochs: settings.epochs,
    batch_size: settings.batchSize,
    learning_rate_multiplier: job.learningRateMultiplier,
  };
  return {
    object: 'fine_tuning.job',
    id: job.id,
    model: job.model,
    created_at: toSeconds(job.created),
    finished_at: job.finished === null ? null : toSeconds(job.finished),
    estimated_finish: job.estimatedFinish === null ? null : toSeconds(job.estimatedFinish),
    fine_tuned_model: job.fineTunedModel,
    organization_id: tenant,
    status: job.status === 'finishing' ? 'running' : job.status, // OpenAI has no such status
    training_file: job.trainingFile,
    validation_file: job.validationFile,
    user_provided_suffix: job.suffix,
    result_files: [...job.resultFiles],
    trained_tokens: job.trainedTokens,
    hyperparameters,
    method: { type: 'supervised', supervised: { hyperparameters } },
    prefix_tuning: {
      method: settings.method,
      length: settings.length,
      mlp: settings.mlp,
      init: settings.init,
      learning_rate: settings.learningRate,
      max_steps: settings.maxSteps,
      warmup_steps: settings.warmupSteps,
      early_stopping: settings.patience !== null,
      patience: settings.patience,
      eval_every: settings.evaluateEvery,
      sites: settings.sites && [...settings.sites],
      loss_mean: settings.lossMean ?? 'sentences',
      too_long: settings.tooLong ?? 'fail',
    },
    seed: settings.seed,
    metadata: job.metadata && { ...job.metadata },
    integrations: [],
    error: job.error,
  };
}

/** @param tenant the caller */
export function toJobList({ data, hasMore }: Page<FineTuningJob>, tenant: string): JobList {
  return { object: 'list', data: data.map((job) => toJob(job, tenant)), has_more: hasMore };
}

export function toEventList({ data, hasMore }: Page<JobEvent>): JobEventList {
  return { object: 'list', data: data.map(toEvent), has_more: hasMore };
}

function toEvent({ id, created, level, type, message, data }: JobEvent): JobEventObject {
  return { object: 'fine_tuning.job.event', id, created_at: toSeconds(created), level, type, message, data };
}
