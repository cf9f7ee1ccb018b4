import { systemError } from '../../lib/system-error.js';
import { ConfigError } from '../../config/error.js';
import { precisions } from '../../config/rules.js';
import type { Settings } from '../../config/variables.js';
import type { CompileProgress } from '../../model/compile/compiled-model.js';
import { CheckpointError } from '../../model/checkpoint-error.js';
import { openModel, type Model } from '../../model/model.js';
import { TokenizerError } from '../../tokenizer/tokenizer-error.js';
import { checkContext } from './context.js';
import { openTokenizer, type OpenTokenizer } from './tokenizer.js';

/**
 * Opens the model that the settings describe, compiling it if needed.
 * @param savePacked whether packed weights are kept in the cache, for all servers of the machine to map
 * @throws ConfigError for a precision of weights that does not fit the model, for a context or slots that do not fit, and for a cache that
 * cannot be used
 */
export async function openConfiguredModel(
  config: Settings<'model'>,
  onProgress?: CompileProgress,
  savePacked = false,
): Promise<Model> {
  const { model: source, modelName: id, cache, slots, threads, spin, provider } = config;
  const { maxModelLength: maxLength } = config;
  await checkContext(config);
  const options = {
    ...{ source, cache, slots, maxLength, threads, provider, spin: spin === 'on', savePacked },
    ...precisions(config),
  };
  return openModel({ ...options, ...(id && { id }), ...(onProgress && { onProgress }) }).catch(rethrowNaming(config));
}

/** Codes of disks that take no more, and calls that only write: the model itself is only read. */
const WRITING: ReadonlySet<string | undefined> = new Set([
  ...['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS'],
  ...['write', 'fsync', 'ftruncate', 'mkdir', 'rename', 'copyfile'],
]);

/**
 * Makes a function that rethrows an error of opening or compiling a model. A fault of the cache, or of the precision of weights, becomes a
 * `ConfigError`, because a setting decides it.
 */
export function rethrowNaming({ cache }: Pick<Settings<'model'>, 'cache'>): (error: unknown) => never {
  return (error) => {
    if (error instanceof CheckpointError && error.subject === 'weights')
      throw new ConfigError('PREAMBLE_WEIGHTS', error.message, { cause: error });
    const failed = systemError(error);
    if (failed === undefined) throw error;
    const isOfCache = WRITING.has(failed.code) || WRITING.has(failed.syscall) || failed.path?.startsWith(cache);
    if (!isOfCache) throw error;
    throw new ConfigError('PREAMBLE_CACHE', `${cache} cannot be used: ${failed.message}`, { cause: error });
  };
}

/**
 * As `openConfiguredModel`, where the settings and not a command line name the model.
 * @throws ConfigError naming the variable, also for a fault of the model's files and for settings that do not fit the model
 */
export async function openServedModel(config: Settings<'model'>, onProgress?: CompileProgress): Promise<Model> {
  const model = await openConfiguredModel(config, onProgress, true).catch(rethrowAs('PREAMBLE_MODEL'));
  const most = model.base.contextLength - 2; // a prompt, or what a decoder starts with, and the answer have a token each
  if ((config.maxVirtualTokens ?? 0) <= most) return model;
  await model.dispose();
  const problem = `${config.maxVirtualTokens} is more than the ${most} that the model's context leaves to a prefix`;
  throw new ConfigError('PREAMBLE_MAX_VIRTUAL_TOKENS', problem);
}

/** The tokenizer and the chat template of the model that the settings name. @throws ConfigError naming the variable */
export function openServedTokenizer({ model }: Pick<Settings<'model'>, 'model'>): Promise<OpenTokenizer> {
  return openTokenizer(model).catch(rethrowAs('PREAMBLE_MODEL'));
}

/** What says where a model's files are: the variable, part of a command line, or a study's field. */
export type ModelSource = 'PREAMBLE_MODEL' | '--model' | 'model' | '<dir>';

/** Makes a function that rethrows an error of the model's files in the name of what says where they are: the variable's is a `ConfigError`. */
export function rethrowAs(name: ModelSource): (error: unknown) => never {
  return (error) => {
    const isOfFiles = error instanceof CheckpointError || error instanceof TokenizerError;
    const ofModel = systemError(error) ?? (isOfFiles ? error : undefined);
    if (ofModel === undefined) throw error;
    if (name === 'PREAMBLE_MODEL') throw new ConfigError(name, ofModel.message);
    throw new CheckpointError(`${name}: ${ofModel.message}`);
  };
}
