import { ConfigError, precisions, systemError, type Config } from '../config/config.js';
import type { CompileProgress } from '../model/compile/compiled-model.js';
import { CheckpointError } from '../model/gpt2/config.js';
import { openModel, type Model } from '../model/model.js';

/** Opens the model as the settings say; compiles it if that is needed. */
export function openConfiguredModel(config: Config, onProgress?: CompileProgress): Promise<Model> {
  const { model: source, modelName: id, cache, slots, threads, spin, provider } = config;
  const options = { source, cache, slots, threads, provider, spin: spin === 'on', ...precisions(config) };
  return openModel({ ...options, ...(id && { id }), ...(onProgress && { onProgress }) });
}

/**
 * As `openConfiguredModel`, where the settings alone say which model.
 * @throws ConfigError that names the variable, for what is wrong with the model's files, its cache, or settings that do not fit the model
 */
export async function openServedModel(config: Config, onProgress?: CompileProgress): Promise<Model> {
  const model = await openConfiguredModel(config, onProgress).catch((error: unknown) => {
    throw namingVariable(error, config);
  });
  const most = model.base.contextLength - 2; // a prompt and its answer have a token each
  if ((config.maxVirtualTokens ?? 0) <= most) return model;
  await model.dispose();
  const problem = `${config.maxVirtualTokens} is more than the ${most} that the model's context leaves to a prefix`;
  throw new ConfigError('PREAMBLE_MAX_VIRTUAL_TOKENS', problem);
}

function namingVariable(error: unknown, { cache }: Config): unknown {
  const failed = systemError(error);
  if (failed?.path?.startsWith(cache)) return new ConfigError('PREAMBLE_CACHE', failed.message);
  // Some errors of a checkpoint are of what it shall become, and name that variable.
  const ofFiles = error instanceof CheckpointError && !error.message.startsWith('PREAMBLE_');
  return failed || ofFiles ? new ConfigError('PREAMBLE_MODEL', (error as Error).message) : error;
}
