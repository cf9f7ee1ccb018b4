import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { AdamW, clipScale, linearSchedule } from '../../src/tuning/training/adamw.js';
import type { Batch } from '../../src/tuning/training/batch-inputs.js';
import { makeBatch } from '../../src/tuning/training/batch.js';
import type { ParameterName, TunedShape } from '../../src/tuning/method.js';
import type { TrainingModel } from '../../src/tuning/training/training-model.js';
import type { Values } from '../../src/tuning/training/values.js';
import { type FloatTensor, golden, goldenNames, trainingGolden } from '../support/goldens.js';
import { openTrainingModel } from './models.js';

const LENGTH = 5;
const WAYS = {
  prefix: { method: 'prefix', length: LENGTH, mlp: 0 },
  infix: { method: 'infix', length: LENGTH, mlp: 0 },
  embedding: { method: 'embedding', length: LENGTH, mlp: 0 },
  mlp: { method: 'prefix', length: LENGTH, mlp: 24 },
} as const satisfies Record<string, TunedShape>;
const RUNS = ['prefix', 'infix', 'embedding'] as const;

describe.each(goldenNames())('%s in training', (name) => {
  const { meta, tensors } = trainingGolden(name);
  let model: TrainingModel;

  beforeAll(async () => {
    model = await openTrainingModel(golden(name).directory);
  });
  afterAll(() => model.dispose());

  const tensor = (key: string): FloatTensor => tensors[key]!;
  const parameters = (way: keyof typeof WAYS): Values => {
    const names: ParameterName[] = way === 'mlp' ? ['wte', 'w0', 'b0', 'w2', 'b2'] : ['rows'];
    return new Map(names.map((key) => [key, tensor(`${way}.${key}`).data.slice()]));
  };
  const batchFor = (shape: TunedShape): Batch => {
    const examples = meta.batch.map(({ source, target }) => ({ source: [...source, meta.separator], target }));
    return makeBatch(examples, model.options.manifest.shape, shape);
  };
  const meanOfSums = (losses: Float32Array): number => losses.reduce((sum, l) => sum + l, 0) / meta.batch.length;

  const ways = (Object.keys(WAYS) as (keyof typeof WAYS)[]).filter((way) => meta.losses[way] !== undefined);

  it.each(ways)('has the loss and gradients of PyTorch: %s', async (way) => {
    const graph = await model.openLoss(WAYS[way], true);
    try {
      const { losses, gradients } = await graph.run(parameters(way), batchFor(WAYS[way]));
      expect(Math.abs(meanOfSums(losses) / meta.losses[way]! - 1)).toBeLessThan(1e-4);
      for (const [key, found] of gradients) {
        const expected = tensor(way === 'mlp' ? `mlp.${key}.grad` : `${way}.grad`).data;
        expect(relativeError(found, expected), key).toBeLessThan(1e-4);
      }
      expect(gradients.size).toBe(way === 'mlp' ? 5 : 1);
    } finally {
      await graph.dispose();
    }
  });

  it.each(RUNS)('ends 20 steps where PyTorch ends: %s', async (way) => {
    const graph = await model.openLoss(WAYS[way], true);
    try {
      const values = parameters(way);
      const optimizer = new AdamW(values);
      const { steps, lr, clip_norm: limit } = meta.run;
      for (let step = 0; step < steps; step++) {
        const { losses, gradients } = await graph.run(values, batchFor(WAYS[way]));
        expect(Math.abs(meanOfSums(losses) / meta.run.losses[way][step]! - 1)).toBeLessThan(1e-4);
        optimizer.step(gradients, step + 1, linearSchedule(lr, step, steps, 0), clipScale(gradients, limit));
      }
      expect(relativeError(values.get('rows')!, tensor(`${way}.trained`).data)).toBeLessThan(1e-4);
    } finally {
      await graph.dispose();
    }
  });

  it('has the same losses without gradients', async () => {
    const way = ways.at(-1)!;
    const [training, evaluation] = [await model.openLoss(WAYS[way], true), await model.openLoss(WAYS[way], false)];
    try {
      const batch = batchFor(WAYS[way]);
      const found = await evaluation.run(parameters(way), batch);
      expect(found.gradients.size).toBe(0);
      expect(relativeError(found.losses, (await training.run(parameters(way), batch)).losses)).toBeLessThan(1e-6);
    } finally {
      await training.dispose();
      await evaluation.dispose();
    }
  });
});

/** The largest difference, as a part of the largest entry. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  expect(found.length).toBe(expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0) / largest;
}
