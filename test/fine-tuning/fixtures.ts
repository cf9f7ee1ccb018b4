import { newFileId } from '../../src/files/file.js';
import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { newJobId } from '../../src/jobs/job.js';
import { JOB_DEFAULTS } from '../../src/fine-tuning/settings.js';

export const FINGERPRINT = 'f'.repeat(64);

/** A queued job. */
export function job(changes: Partial<FineTuningJob> = {}): FineTuningJob {
  const id = newJobId(FINE_TUNING);
  return {
    id,
    fingerprint: FINGERPRINT,
    created: 1,
    status: 'queued',
    model: 'base',
    trainingFile: newFileId(),
    validationFile: null,
    suffix: null,
    name: id,
    settings: JOB_DEFAULTS,
    learningRateMultiplier: 1,
    metadata: { note: 'kept as it is' },
    finished: null,
    estimatedFinish: null,
    fineTunedModel: null,
    trainedTokens: null,
    resultFiles: [],
    error: null,
    ...changes,
  };
}
