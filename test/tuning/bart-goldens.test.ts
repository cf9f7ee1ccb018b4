import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ParameterName, TunedShape } from '../../src/tuning/method.js';
import { AdamW, clipScale, linearSchedule } from '../../src/tuning/training/adamw.js';
import type { Batch } from '../../src/tuning/training/batch-inputs.js';
import { makeBatch } from '../../src/tuning/training/batch.js';
import type { TrainingModel } from '../../src/tuning/training/training-model.js';
import type { Values } from '../../src/tuning/training/values.js';
import { readTensors } from '../support/goldens.js';
import { openTrainingModel } from './models.js';

const root = fileURLToPath(new URL('../../../shared/goldens/bart', import.meta.url));
const START = 2;
const SITES = ['encoder', 'decoder', 'cross'] as const;
const TENSORS = ['wte', 'w0', 'b0', 'w2', 'b2'] as const;
const MLP_WIDTH = 24;
/**
 * Attention in these models is so sharp that float32 cannot do better: PyTorch's own gradients, which are what is compared with, are up to
 * 2.7e-3 of the largest entry away from those in float64. `bart-tune.test.ts` compares with slopes of the loss in a model that is not as sharp.
 */
const GRADIENT_ERROR = 2e-3;
/** For the same reason, of the rows after 20 steps: Adam takes as long a step for a small gradient as for a large one. */
const TRAINED_ERROR = 5e-3;

/** `expected/MODEL.training.json`: PyTorch under autograd, in which all three sites have rows. */
interface TrainingGolden {
  readonly batch: { readonly source: number[]; readonly target: number[] }[];
  readonly losses: Record<'sites' | 'mlp', number>;
  readonly virtual_tokens: number;
  readonly run: {
    readonly steps: number;
    readonly lr: number;
    readonly clip_norm: number;
    readonly losses: number[];
  };
}

describe.skipIf(!fs.existsSync(root)).each(['tiny-bart-a', 'tiny-bart-b'])('%s in training', (name) => {
  const file = (extension: string): string => path.join(root, 'expected', `${name}.training.${extension}`);
  let model: TrainingModel;
  let golden: TrainingGolden;
  let tensors: ReturnType<typeof readTensors>;
  let shape: TunedShape;

  beforeAll(async () => {
    model = await openTrainingModel(path.join(root, 'models', name));
    golden = JSON.parse(fs.readFileSync(file('json'), 'utf8')) as TrainingGolden;
    tensors = readTensors(file('safetensors'));
    const { virtual_tokens: length } = golden;
    shape = { method: 'prefix', length, mlp: 0, sites: { encoder: length, decoder: length, cross: length } };
  });
  afterAll(() => model.dispose());

  const tensor = (key: string): Float32Array => tensors[key]!.data;
  const rows = (): Values => new Map(SITES.map((site) => [`${site}.rows` as const, tensor(`${site}.rows`).slice()]));
  const batch = (of: TunedShape): Batch => {
    const examples = golden.batch.map((one) => ({ ...one, start: [START] }));
    return makeBatch(examples, model.options.manifest.shape, of);
  };
  const meanOfSums = (losses: Float32Array): number => losses.reduce((sum, l) => sum + l, 0) / golden.batch.length;

  it('has the loss and gradients of PyTorch: rows', async () => {
    const graph = await model.openLoss(shape, true);
    try {
      const { losses, gradients } = await graph.run(rows(), batch(shape));
      expect(Math.abs(meanOfSums(losses) / golden.losses.sites - 1)).toBeLessThan(1e-4);
      for (const site of SITES) {
        expect(relativeError(gradients.get(`${site}.rows`)!, tensor(`${site}.grad`)), site).toBeLessThan(
          GRADIENT_ERROR,
        );
      }
      expect(gradients.size).toBe(3);
    } finally {
      await graph.dispose();
    }
  });

  it('has the loss and gradients of PyTorch: an MLP for each site', async () => {
    const ofMlp = { ...shape, mlp: MLP_WIDTH };
    const graph = await model.openLoss(ofMlp, true);
    try {
      const names = SITES.flatMap((site) =>
        TENSORS.map((of) => ({ ours: `${site}.${of}`, theirs: `${site}.mlp.${of}` })),
      );
      const values = new Map(names.map(({ ours, theirs }) => [ours as ParameterName, tensor(theirs).slice()]));
      const { losses, gradients } = await graph.run(values, batch(ofMlp));
      expect(Math.abs(meanOfSums(losses) / golden.losses.mlp - 1)).toBeLessThan(1e-4);
      for (const { ours, theirs } of names) {
        const found = gradients.get(ours as ParameterName)!;
        expect(relativeError(found, tensor(`${theirs}.grad`)), ours).toBeLessThan(GRADIENT_ERROR);
      }
      expect(gradients.size).toBe(15);
    } finally {
      await graph.dispose();
    }
  });

  it('ends 20 steps where PyTorch ends', async () => {
    const graph = await model.openLoss(shape, true);
    try {
      const values = rows();
      const optimizer = new AdamW(values);
      const { steps, lr, clip_norm: limit } = golden.run;
      for (let step = 0; step < steps; step++) {
        const { losses, gradients } = await graph.run(values, batch(shape));
        expect(Math.abs(meanOfSums(losses) / golden.run.losses[step]! - 1)).toBeLessThan(1e-3);
        optimizer.step(gradients, step + 1, linearSchedule(lr, step, steps, 0), clipScale(gradients, limit));
      }
      for (const site of SITES) {
        expect(relativeError(values.get(`${site}.rows`)!, tensor(`${site}.trained`)), site).toBeLessThan(TRAINED_ERROR);
      }
    } finally {
      await graph.dispose();
    }
  });
});

/** The largest difference, as a part of the largest entry. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  expect(found.length).toBe(expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0) / largest;
}
