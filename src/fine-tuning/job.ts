import type { JobKind, JobRecord } from '../jobs/job.js';
import type { JobSettings } from './settings.js';

/** Fine-tuning jobs, in OpenAI's words. */
export const FINE_TUNING: JobKind = {
  slot: 'tuning',
  folder: 'jobs',
  idPrefix: 'ftjob-',
  eventPrefix: 'ftevent',
  noun: 'fine-tuning job',
  param: 'fine_tuning_job_id',
  finishing: 'is trained, and its prefix is being stored',
};

/** A job as it was asked for; this part never changes. */
export interface JobRequest {
  /** The base model's id, or the caller's prefix to go on from, `NAME@VERSION`. */
  readonly model: string;
  readonly trainingFile: string;
  readonly validationFile: string | null;
  readonly suffix: string | null;
  /** Name of the prefix that is trained. */
  readonly name: string;
  readonly settings: JobSettings;
  /** Factor that the learning rate was multiplied with, for the answer. */
  readonly learningRateMultiplier: number;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** A fine-tuning job of a tenant. */
export interface FineTuningJob extends JobRequest, JobRecord {
  /** `NAME@VERSION`, once the prefix is stored. */
  readonly fineTunedModel: string | null;
  readonly trainedTokens: number | null;
  readonly resultFiles: readonly string[];
}
