import { systemError } from '../../lib/system-error.js';
import { ConfigError } from '../../config/error.js';
import { precisions } from '../../config/rules.js';
import type { Settings } from '../../config/variables.js';
import type { CompileProgress } from '../../model/compile/compiled-model.js';
import { CheckpointError } from '../../model/checkpoint-error.js';
import { openModel, type Model } from '../../model/model.js';

/**
 * Opens the model that the settings describe, compiling it if needed.
 * @throws ConfigError for a precision of weights that does not fit the model
 */
export function openConfiguredModel(config: Settings<'model'>, onProgress?: CompileProgress): Promise<Model> {
  const { model: source, modelName: id, cache, slots, threads, spin, provider } = config;
  const options = { source, cache, slots, threads, provider, spin: spin === 'on', ...precisions(config) };
  return openModel({ ...options, ...(id && { id }), ...(onProgress && { onProgress }) }).catch(rethrowNamingWeights);
}

/** Rethrows an error of a model. An error about the precision of weights becomes a `ConfigError`, because a setting decides it. */
export function rethrowNamingWeights(error: unknown): never {
  const ofWeights = error instanceof CheckpointError && error.subject === 'weights';
  throw ofWeights ? new ConfigError('PREAMBLE_WEIGHTS', error.message) : error;
}

/**
 * As `openConfiguredModel`, where the settings and not a command line name the model.
 * @throws ConfigError naming the variable, for a fault of the model's files or its cache, and for settings that do not fit the model
 */
export async function openServedModel(config: Settings<'model'>, onProgress?: CompileProgress): Promise<Model> {
  const model = await openConfiguredModel(config, onProgress).catch((error: unknown) => {
    throw namingVariable(error, config);
  });
  const most = model.base.contextLength - 2; // a prompt and its answer have a token each
  if ((config.maxVirtualTokens ?? 0) <= most) return model;
  await model.dispose();
  const problem = `${config.maxVirtualTokens} is more than the ${most} that the model's context leaves to a prefix`;
  throw new ConfigError('PREAMBLE_MAX_VIRTUAL_TOKENS', problem);
}

function namingVariable(error: unknown, { cache }: Settings<'model'>): unknown {
  const failed = systemError(error);
  if (failed?.path?.startsWith(cache)) return new ConfigError('PREAMBLE_CACHE', failed.message);
  const ofModel = failed ?? (error instanceof CheckpointError ? error : undefined);
  return ofModel ? new ConfigError('PREAMBLE_MODEL', ofModel.message) : error;
}
