import { basename, resolve } from 'node:path';

import type { Config } from '../../config/variables.js';
import { compileModel, type CompileProgress, type Manifest, readManifest } from '../../model/compile/compiled-model.js';
import { baseModel } from '../../model/model.js';
import type { BaseModel } from '../../prefix/kv.js';
import { rethrowNaming } from './model.js';
import { openTokenizer } from './tokenizer.js';
import type { ModelTokenizer } from '../../tokenizer/token-encoder.js';
import type { ConversationForm } from '../../tuning/data/conversation.js';
import { TrainingModel } from '../../tuning/training/training-model.js';

/** A frozen model that prefixes are trained on, with its tokenizer. */
export interface OpenTrainingModel {
  readonly training: TrainingModel;
  readonly base: BaseModel;
  readonly tokenizer: ModelTokenizer;
  /** How its chat template writes conversations to learn; undefined without one. */
  readonly conversation: ConversationForm | undefined;
  /** What somebody who starts the model should know of its checkpoint's files, a line each. */
  readonly warnings: readonly string[];
}

/** Opens the model in `config` for training, compiling it if needed. The caller disposes of `training`. Throws `ConfigError` for a cache that cannot be used. */
export async function openTrainingModel(
  config: Pick<Config, 'model' | 'modelName' | 'cache' | 'threads' | 'spin'>,
  onProgress?: CompileProgress,
): Promise<OpenTrainingModel> {
  const { model: source, modelName, cache, threads, spin } = config;
  const { tokenizer, chatTemplate: template } = await openTokenizer(source);
  const options = { source, cache, ...(onProgress && { onProgress }) };
  const directory = await compileModel(options).catch(rethrowNaming(config));
  const manifest = (await readManifest(directory)) as Manifest;
  const training = await TrainingModel.open({ directory, manifest, threads, spin: spin === 'on' });
  return {
    training,
    base: baseModel(modelName ?? basename(resolve(source)), manifest),
    tokenizer,
    conversation: template && { template, end: tokenizer.decode(manifest.eosTokenIds.slice(0, 1)) },
    warnings: manifest.warnings,
  };
}
