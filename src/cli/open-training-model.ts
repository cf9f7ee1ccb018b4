import { compileProgress } from '../app/compile-progress.js';
import { printModelWarnings } from '../app/model-warnings.js';
import { type ModelSource, rethrowAs } from '../app/open/model.js';
import { type OpenTrainingModel, openTrainingModel } from '../app/open/training-model.js';
import type { Io } from './io.js';

/**
 * Opens a model to train on or to measure, with its progress and its warnings on standard error.
 * @param source what said where the model is: an error of its files is told in that name
 */
export async function openWithWarnings(
  config: Parameters<typeof openTrainingModel>[0],
  source: ModelSource,
  { stderr }: Io,
): Promise<OpenTrainingModel> {
  const opened = await openTrainingModel(config, compileProgress(stderr)).catch(rethrowAs(source));
  printModelWarnings(stderr, opened.warnings);
  return opened;
}
