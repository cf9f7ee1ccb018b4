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
export const JOB_DEFAULTS = { ...defaults, maxSteps: null, patience: null } satisfies JobSettings;

/** Settings for the training process. */
export function toTuneSettings({ length, maxSteps, patience, ...settings }: JobSettings): TuneSettings {
  return {
    ...settings,
    length: length ?? undefined,
    maxSteps: maxSteps ?? undefined,
    patience: patience ?? undefined,
    checkpointEvery,
  };
}
