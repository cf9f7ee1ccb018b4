import type { KvPrecision, WeightPrecision } from '../../src/model/precision.js';
import { golden, goldenNames } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { describeRunner } from '../engine/runner-contract.js';

/**
 * Each precision of weights and of keys and values, and how far two logits of the same content may differ. Steps of other
 * shapes sum in another order; where activations are rounded after that, to float16 or to 8 bits, one may round the other way.
 */
const PRECISIONS: readonly [weights: WeightPrecision, kv: KvPrecision, tolerance: number][] = [
  ['float32', 'float32', 1e-3],
  ['float32', 'float16', 1e-3],
  ['float16', 'float32', 1e-2],
  ['float16', 'float16', 1e-2],
  ['int8', 'float32', 0.1],
  ['int4', 'float16', 0.1],
];

for (const name of goldenNames()) {
  for (const [weights, kv, tolerance] of PRECISIONS) {
    const title = `OnnxRunner on ${name}, ${weights}, keys and values ${kv},`;
    const distinct = Math.min(10 * tolerance, 0.2);
    describeRunner(title, () => openRunner(name, weights, kv), { tolerance, distinct });
  }
}

async function openRunner(name: string, weights: WeightPrecision, kv: KvPrecision) {
  const model = await openTestModel(golden(name).directory, { slots: 4, weights, kv });
  const width = 2 * model.base.layers * model.base.width;
  return {
    runner: model.runner,
    makeKv: (length: number, seed: number) => ({
      length,
      rows: Float32Array.from({ length: length * width }, (_, i) => 0.6 * Math.sin(seed + i * 1.7)),
    }),
    dispose: () => model.dispose(),
  };
}
