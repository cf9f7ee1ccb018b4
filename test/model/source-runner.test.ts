import type { OpenModelOptions } from '../../src/model/model.js';
import { INT8_FORMS } from '../support/int8-forms.js';
import { openTestModel } from '../support/models.js';
import { randomBart, randomPrefix, type VirtualTokens } from '../support/random-bart.js';
import { describeSources } from '../engine/source-contract.js';

/** How each is opened, and how far logits of the same content may differ: see `runner-contract.test.ts`. */
const OPENED: readonly [title: string, options: Partial<OpenModelOptions>, tolerance: number][] = [
  ['float32', {}, 1e-3],
  ['cross-attention without the operator', { crossAttention: 'plain' }, 1e-3],
  ['keys and values float16', { kv: 'float16' }, 3e-3],
  ['cross-attention without the operator, float16', { crossAttention: 'plain', kv: 'float16' }, 3e-3],
  ['weights float16', { weights: 'float16', kv: 'float16' }, 1e-2],
];

/** Rows of integer products are rounded by themselves: less of them depends on how a source was cut. */
const inInt8 = INT8_FORMS.map((int8): (typeof OPENED)[number] => [
  `int8 in ${int8}`,
  { weights: 'int8', int8 },
  int8 === 'blocks' ? 0.1 : 0.03,
]);

for (const [title, options, tolerance] of [...OPENED, ...inInt8]) {
  const make = async () => {
    const model = await openTestModel(randomBart().directory, { slots: 4, ...options });
    return {
      runner: model.runner,
      makeKv: (lengths: VirtualTokens, seed: number) => randomPrefix(model.base, lengths, seed),
      dispose: () => model.dispose(),
    };
  };
  describeSources(`OnnxRunner on a BART, ${title},`, make, { tolerance, distinct: Math.min(2 * tolerance, 0.1) });
}
