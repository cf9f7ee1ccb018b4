import type { ModelShape } from '../prefix/kv.js';
import { TuningError } from '../tuning/errors.js';
import { trainedSites } from '../tuning/method.js';
import { TUNE_DEFAULTS, type TuneSettings } from '../tuning/settings.js';

/** `TuneSettings` of a job, every default filled in, so that a worker decides nothing; null, as in JSON, for undefined. */
export type JobSettings = {
  readonly [Name in Exclude<keyof TuneSettings, 'checkpointEvery'>]: undefined extends TuneSettings[Name]
    ? Exclude<TuneSettings[Name], undefined> | null
    : TuneSettings[Name];
};

export { DEFAULT_PATIENCE } from '../tuning/settings.js';

const { checkpointEvery, ...defaults } = TUNE_DEFAULTS;

/** Settings of a job unless its request gives them. */
export const JOB_DEFAULTS = {
  ...defaults,
  maxSteps: null,
  patience: null,
  sites: null,
  lossMean: 'sentences',
  tooLong: 'fail',
} satisfies JobSettings;

/** Settings for the training process. */
export function toTuneSettings({
  length,
  maxSteps,
  patience,
  sites,
  lossMean,
  tooLong,
  ...settings
}: JobSettings): TuneSettings {
  return {
    ...settings,
    length: length ?? undefined,
    maxSteps: maxSteps ?? undefined,
    patience: patience ?? undefined,
    sites: sites ?? undefined,
    lossMean: lossMean ?? undefined,
    tooLong: tooLong ?? undefined,
    checkpointEvery,
  };
}

/** What is wrong with a job's method or sites for a model: the setting, and the problem; undefined if nothing is. */
export function sitesProblem(
  model: ModelShape,
  { method, sites }: Pick<JobSettings, 'method' | 'sites'>,
): { readonly setting: string; readonly problem: string } | undefined {
  try {
    trainedSites(model, { method, sites: sites ?? undefined });
    return undefined;
  } catch (error) {
    if (!(error instanceof TuningError)) throw error;
    return { setting: error.subject, problem: error.problem };
  }
}
