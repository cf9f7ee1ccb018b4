import type { JobRequest } from '../../fine-tuning/job.js';
import { DEFAULT_PATIENCE, JOB_DEFAULTS, type JobSettings, sitesProblem } from '../../fine-tuning/settings.js';
import type { BaseModel } from '../../prefix/kv.js';
import type { PrefixDetails, PrefixLibrary } from '../../prefix/library.js';
import { isPrefixName } from '../../prefix/name.js';
import type { TokenEncoder } from '../../tokenizer/token-encoder.js';
import { ApiError } from '../errors.js';
import type { NewJob, PrefixTuning } from './schema.js';

/** The version of a prefix that training continues from; undefined: training starts from the base model. */
export type StartingModel =
  Pick<PrefixDetails, 'name' | 'version' | 'kind' | 'placement' | 'numVirtualTokens'> | undefined;

/** Parts of the program that a job's request is checked with. */
export interface JobRequestDeps {
  readonly base: BaseModel;
  readonly tokenizer: Pick<TokenEncoder, 'encode' | 'textProblem'>;
  readonly library: Pick<PrefixLibrary, 'maxLength'>;
}

/**
 * Parses a job's request, with every default filled in.
 * @throws ApiError for fields that exclude each other or need another, and for a prefix that could not be stored
 */
export function toJobRequest(body: NewJob, deps: JobRequestDeps, start: StartingModel): Omit<JobRequest, 'name'> {
  const { base } = deps;
  const { learningRateMultiplier, ...settings } = toSettings(body, deps, start);
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

function toSettings(
  body: NewJob,
  deps: JobRequestDeps,
  start: StartingModel,
): JobSettings & { readonly learningRateMultiplier: number } {
  const given = body.prefix_tuning ?? {};
  const { n_epochs, batch_size, learning_rate_multiplier } = hyperparameters(body);
  const learningRateMultiplier = unlessAuto(learning_rate_multiplier) ?? 1;
  const method = toMethod(given, start);
  return {
    method,
    sites: toSites(given, method, deps.base),
    length: toLength(given, deps, start),
    mlp: given.mlp ?? JOB_DEFAULTS.mlp,
    init: toInit(given, start),
    learningRate: (given.learning_rate ?? JOB_DEFAULTS.learningRate) * learningRateMultiplier,
    learningRateMultiplier,
    epochs: unlessAuto(n_epochs) ?? JOB_DEFAULTS.epochs,
    maxSteps: given.max_steps ?? JOB_DEFAULTS.maxSteps,
    warmupSteps: given.warmup_steps ?? JOB_DEFAULTS.warmupSteps,
    batchSize: unlessAuto(batch_size) ?? JOB_DEFAULTS.batchSize,
    evaluateEvery: given.eval_every ?? JOB_DEFAULTS.evaluateEvery,
    patience: toPatience(given, body),
    lossMean: given.loss_mean ?? JOB_DEFAULTS.lossMean,
    tooLong: given.too_long ?? JOB_DEFAULTS.tooLong,
    seed: body.seed ?? JOB_DEFAULTS.seed,
  };
}

function hyperparameters({ hyperparameters: old, method }: NewJob): NonNullable<NewJob['hyperparameters']> {
  const own = method?.supervised?.hyperparameters;
  if (old && own) throw excluded('hyperparameters', 'method.supervised.hyperparameters');
  return own ?? old ?? {};
}

/** Whether a field is given. Null counts as left out. */
function isGiven<T>(value: T): value is NonNullable<T> {
  return value !== undefined && value !== null;
}

/** The value of a field; undefined for `auto`, which is the default. */
function unlessAuto(value: number | 'auto' | undefined): number | undefined {
  return value === 'auto' ? undefined : value;
}

function toMethod({ method }: PrefixTuning, start: StartingModel): JobSettings['method'] {
  const found = start && (start.kind === 'soft_prompt' ? 'embedding' : start.placement);
  if (found === undefined || method === undefined || method === found) return found ?? method ?? JOB_DEFAULTS.method;
  const param = 'prefix_tuning.method';
  throw new ApiError('invalid_value', `'${param}' is ${method}, and the prefix that 'model' names is of ${found}.`, {
    param,
  });
}

function toSites({ sites = null }: PrefixTuning, method: JobSettings['method'], base: BaseModel): JobSettings['sites'] {
  const problem = sitesProblem(base, { method, sites });
  if (problem === undefined) return sites;
  const param = `prefix_tuning.${problem.setting}`;
  throw new ApiError('invalid_value', `'${param}': ${problem.problem}.`, { param });
}

function toLength({ length, init }: PrefixTuning, deps: JobRequestDeps, start: StartingModel): number | null {
  const { library } = deps;
  const words = isGiven(init) && init !== JOB_DEFAULTS.init ? countTokens(init, deps) : undefined;
  const ofStart = start?.numVirtualTokens ?? words;
  const used = length ?? ofStart ?? JOB_DEFAULTS.length;
  if (used <= library.maxLength) return length ?? (ofStart === undefined ? JOB_DEFAULTS.length : null);
  const param = 'prefix_tuning.length';
  const what = isGiven(length) ? `is ${used}` : `is ${used} unless given`;
  throw new ApiError('invalid_value', `'${param}' ${what}, and may be ${library.maxLength} at most.`, { param });
}

function countTokens(init: string, { tokenizer }: JobRequestDeps): number {
  const { textProblem } = tokenizer;
  if (textProblem === undefined) return tokenizer.encode(init).length;
  const param = 'prefix_tuning.init';
  throw new ApiError('text_unsupported', `'${param}' cannot be words: ${textProblem}.`, { param });
}

function toInit({ init }: PrefixTuning, start: StartingModel): string {
  if (start && isGiven(init)) throw excluded('prefix_tuning.init', "a prefix as 'model'");
  return init ?? JOB_DEFAULTS.init;
}

function toPatience({ early_stopping, patience }: PrefixTuning, { validation_file }: NewJob): number | null {
  if (isGiven(patience) && early_stopping !== true)
    throw needed('prefix_tuning.patience', 'prefix_tuning.early_stopping');
  if (early_stopping !== true) return null;
  if (!isGiven(validation_file)) throw needed('prefix_tuning.early_stopping', 'validation_file');
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
