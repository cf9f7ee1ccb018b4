import type { KvPrecision, WeightPrecision } from '../../src/model/precision.js';
import { INT8_FORMS } from '../support/int8-forms.js';
import { describeOnnxRunner } from './runner-suite.js';

/**
 * Each precision of weights and of keys and values, and how far two logits of the same content may differ. Steps of other
 * shapes sum in another order; where activations are rounded after that, to float16 or to 8 bits, one may round the other way.
 */
const PRECISIONS: readonly [weights: WeightPrecision, kv: KvPrecision, tolerance: number][] = [
  ['float32', 'float32', 1e-3],
  ['float32', 'float16', 1e-3],
  ['float16', 'float32', 1e-2],
  ['float16', 'float16', 1e-2],
  ['int4', 'float16', 0.1],
];

for (const [weights, kv, tolerance] of PRECISIONS) {
  const distinct = Math.min(10 * tolerance, 0.2);
  describeOnnxRunner(`${weights}, keys and values ${kv}`, { weights, kv }, { tolerance, distinct });
}
describeOnnxRunner('float32, packed in a file', { savePacked: true });
for (const int8 of INT8_FORMS) {
  describeOnnxRunner(`int8 in ${int8}`, { weights: 'int8', int8 }, { tolerance: 0.1, distinct: 0.2 });
}
// The CPU as a device: the graphs, the memory and the copies of one, without its provider's own code.
for (const memory of ['addresses', 'handles'] as const) {
  describeOnnxRunner(`in memory that has ${memory} only`, { memory });
  const float16 = { memory, weights: 'float16', kv: 'float16' } as const;
  describeOnnxRunner(`in memory that has ${memory} only, float16`, float16, { tolerance: 1e-2, distinct: 0.1 });
}
