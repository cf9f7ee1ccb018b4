import type { JobSettings } from './job.js';

/** What a job gets where its request says nothing: as `preamble tune`. The length is that of random values. */
export const DEFAULT_SETTINGS: JobSettings & { readonly length: number } = {
  method: 'prefix',
  length: 10,
  mlp: 512,
  init: 'random',
  learningRate: 5e-5,
  epochs: 10,
  maxSteps: null,
  warmupSteps: 0,
  batchSize: 5,
  evaluateEvery: 50,
  patience: null,
  seed: 101,
};

/** Validations without a better one that end a job with early stopping. */
export const DEFAULT_PATIENCE = 3;
