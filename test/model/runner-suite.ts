import type { OpenModelOptions } from '../../src/model/model.js';
import { rowWidth, selfKv, selfSite } from '../../src/prefix/kv.js';
import { describeRunner, type RunnerContractOptions } from '../engine/runner-contract.js';
import { golden, goldenNames } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

/** The contract of a runner on every golden model, opened with `options`. */
export function describeOnnxRunner(
  title: string,
  options: Partial<OpenModelOptions> = {},
  contract: RunnerContractOptions = {},
): void {
  for (const name of goldenNames()) {
    const make = async () => {
      const model = await openTestModel(golden(name).directory, { slots: 4, ...options });
      const width = rowWidth(selfSite(model.base));
      return {
        runner: model.runner,
        makeKv: (length: number, seed: number) =>
          selfKv(
            length,
            Float32Array.from({ length: length * width }, (_, i) => 0.6 * Math.sin(seed + i * 1.7)),
          ),
        dispose: () => model.dispose(),
      };
    };
    describeRunner(`OnnxRunner on ${name}, ${title},`, make, contract);
  }
}
