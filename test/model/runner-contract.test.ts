import { golden, goldenNames } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { describeRunner } from '../engine/runner-contract.js';

for (const name of goldenNames()) {
  describeRunner(`OnnxRunner on ${name}`, async () => {
    const model = await openTestModel(golden(name).directory, { slots: 4 });
    const width = 2 * model.base.layers * model.base.width;
    return {
      runner: model.runner,
      makeKv: (length, seed) => ({
        length,
        rows: Float32Array.from({ length: length * width }, (_, i) => 0.6 * Math.sin(seed + i * 1.7)),
      }),
      dispose: () => model.dispose(),
    };
  });
}
