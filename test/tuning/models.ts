import { compileModel, type Manifest, readManifest } from '../../src/model/compile/compiled-model.js';
import { baseModel } from '../../src/model/model.js';
import { TrainingModel } from '../../src/tuning/training/training-model.js';
import type { TuneSettings } from '../../src/tuning/settings.js';
import type { TuneJob } from '../../src/tuning/tune.js';
import { modelCache } from '../support/models.js';

/** Opens a checkpoint for training, with two threads. */
export async function openTrainingModel(source: string): Promise<TrainingModel> {
  const directory = await compileModel({ source, cache: modelCache });
  return TrainingModel.open({ directory, manifest: (await readManifest(directory)) as Manifest, threads: 2 });
}

/** Examples in token ids: two rules that a few steps can learn something of. */
export const EXAMPLES = Array.from({ length: 12 }, (_, i) => ({
  source: [10 + i, 40, 7],
  targets: [[20 + i, 21, 22 + (i % 3)]],
}));

const SETTINGS: TuneSettings = {
  method: 'prefix',
  length: 5,
  mlp: 16,
  init: 'random',
  learningRate: 5e-3,
  epochs: 4,
  maxSteps: undefined,
  warmupSteps: 0,
  batchSize: 4,
  evaluateEvery: 4,
  patience: undefined,
  checkpointEvery: 3,
  seed: 1,
};

function encode(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

/** A small run on `EXAMPLES`: 12 steps. A text's ids are its code units, 1 to 255. */
export function job(model: TrainingModel, out: string, settings: Partial<TuneSettings> = {}): TuneJob {
  return {
    model,
    base: baseModel('tiny', model.options.manifest),
    encoder: {
      encode,
      encodeSource: (text) => [0, ...encode(text), 2],
      minTokens: ({ length }) => length,
    },
    settings: { ...SETTINGS, ...settings },
    train: EXAMPLES,
    out,
  };
}
