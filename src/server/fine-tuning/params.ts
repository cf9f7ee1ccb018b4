import { DEFAULT_PATIENCE, DEFAULT_SETTINGS } from '../../fine-tuning/default-settings.js';
import type { JobRequest, JobSettings } from '../../fine-tuning/job.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { PrefixDetails } from '../../prefix/library.js';
import { isPrefixName } from '../../prefix/name.js';
import { ApiError } from '../errors.js';
import type { NewJob, PrefixTuning } from '../schemas/fine-tuning.js';

/** What the request's `model` is: the base model, or a version of a prefix to go on from. */
export type StartingModel = Pick<PrefixDetails, 'name' | 'version' | 'kind' | 'placement'> | undefined;

/**
 * What a job is asked to do, every default filled in.
 * @throws ApiError for fields that exclude each other or need another
 */
export function toJobRequest(
  body: NewJob,
  base: Pick<BaseModel, 'id'>,
  start: StartingModel,
): Omit<JobRequest, 'name'> {
  const { learningRateMultiplier, ...settings } = toSettings(body, start);
  return {
    model: start ? `${start.name}@${start.version}` : base.id,
    trainingFile: body.training_file,
    validationFile: body.validation_file ?? null,
    suffix: toSuffix(body.suffix ?? null, base.id),
    settings,
    learningRateMultiplier,
    metadata: body.metadata ?? null,
  };
}

function toSettings(body: NewJob, start: StartingModel): JobSettings & { readonly learningRateMultiplier: number } {
  const given = body.prefix_tuning ?? {};
  const { n_epochs, batch_size, learning_rate_multiplier } = hyperparameters(body);
  const learningRateMultiplier = unlessAuto(learning_rate_multiplier) ?? 1;
  return {
    method: toMethod(given, start),
    length: given.length ?? DEFAULT_SETTINGS.length,
    mlp: given.mlp ?? DEFAULT_SETTINGS.mlp,
    init: toInit(given, start),
    learningRate: (given.learning_rate ?? DEFAULT_SETTINGS.learningRate) * learningRateMultiplier,
    learningRateMultiplier,
    epochs: unlessAuto(n_epochs) ?? DEFAULT_SETTINGS.epochs,
    maxSteps: given.max_steps ?? DEFAULT_SETTINGS.maxSteps,
    warmupSteps: given.warmup_steps ?? DEFAULT_SETTINGS.warmupSteps,
    batchSize: unlessAuto(batch_size) ?? DEFAULT_SETTINGS.batchSize,
    evaluateEvery: given.eval_every ?? DEFAULT_SETTINGS.evaluateEvery,
    patience: toPatience(given, body),
    seed: body.seed ?? DEFAULT_SETTINGS.seed,
  };
}

function hyperparameters({ hyperparameters: old, method }: NewJob): NonNullable<NewJob['hyperparameters']> {
  const own = method?.supervised?.hyperparameters;
  if (old && own) throw excluded('hyperparameters', 'method.supervised.hyperparameters');
  return own ?? old ?? {};
}

/** `auto` is what nothing is: the default. */
function unlessAuto(value: number | 'auto' | undefined): number | undefined {
  return value === 'auto' ? undefined : value;
}

function toMethod({ method }: PrefixTuning, start: StartingModel): JobSettings['method'] {
  const found = start && (start.kind === 'soft_prompt' ? 'embedding' : start.placement);
  if (found === undefined || method == null || method === found) return found ?? method ?? DEFAULT_SETTINGS.method;
  const param = 'prefix_tuning.method';
  throw new ApiError('invalid_value', `'${param}' is ${method}, and the prefix that 'model' names is of ${found}.`, {
    param,
  });
}

function toInit({ init }: PrefixTuning, start: StartingModel): string {
  if (start && init != null) throw excluded('prefix_tuning.init', "a prefix as 'model'");
  return init ?? DEFAULT_SETTINGS.init;
}

function toPatience({ early_stopping, patience }: PrefixTuning, { validation_file }: NewJob): number | null {
  if (patience != null && early_stopping !== true)
    throw needed('prefix_tuning.patience', 'prefix_tuning.early_stopping');
  if (early_stopping !== true) return null;
  if (validation_file == null) throw needed('prefix_tuning.early_stopping', 'validation_file');
  return patience ?? DEFAULT_PATIENCE;
}

function toSuffix(suffix: string | null, baseModel: string): string | null {
  if (suffix === null || (isPrefixName(suffix) && suffix !== baseModel)) return suffix;
  const wanted = "1 to 128 of A-Z a-z 0-9 . _ - and /, and not the base model's id";
  throw new ApiError('invalid_value', `'suffix' must be a prefix's name: ${wanted}.`, { param: 'suffix' });
}

function excluded(param: string, other: string): ApiError {
  return new ApiError('invalid_value', `'${param}' cannot be given with ${other}.`, { param });
}

function needed(param: string, other: string): ApiError {
  return new ApiError('invalid_value', `'${param}' needs '${other}'.`, { param });
}
