import { precisions, type Config } from './config.js';
import type { CompileProgress } from './model/compiled-model.js';
import { openModel, type Model } from './model/model.js';

/** Opens the model as the settings say; compiles it if that is needed. */
export function openConfiguredModel(config: Config, onProgress?: CompileProgress): Promise<Model> {
  const { model: source, modelName: id, cache, slots, threads, spin, provider } = config;
  const options = { source, cache, slots, threads, provider, spin: spin === 'on', ...precisions(config) };
  return openModel({ ...options, ...(id && { id }), ...(onProgress && { onProgress }) });
}
