import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { evaluate, type EvaluationModel } from '../../src/evaluation/evaluate.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import type { TrainingExample } from '../../src/tuning/data/example.js';
import type { Method } from '../../src/tuning/method.js';
import { tune } from '../../src/tuning/tune.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { golden } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { job, openTrainingModel } from '../tuning/models.js';

const EXAMPLES: TrainingExample[] = [
  { source: ' the sea', targets: [' is calm.'] },
  { source: ' a hill', targets: [' is green.'] },
];
let model: EvaluationModel;

beforeAll(async () => {
  const { directory } = golden('tiny-a');
  const training = await openTrainingModel(directory);
  model = { training, served: await openTestModel(directory), tokenizer: await loadTokenizer(directory) };
});
afterAll(async () => {
  await model.served.dispose();
  await model.training.dispose();
});

async function trained(seed: number, method: Method = 'prefix'): Promise<string> {
  const out = path.join(await temporaryDirectory(), `seed ${seed}`);
  const settings = { maxSteps: 3, learningRate: 0.05, mlp: 0, seed, method };
  await tune({ ...job(model.training, out, settings), encoder: model.tokenizer, train: EXAMPLES });
  return out;
}

const measure = (adapter: string | undefined, beams?: number) => {
  const generation = beams === undefined ? undefined : { beams, lengthPenalty: 1, maxTokens: 5 };
  return evaluate(model, { examples: EXAMPLES, adapter, generation });
};

describe('a mixture of adapters', () => {
  it('has the loss of its only entry, or of the bare model', async () => {
    const a = await trained(1);
    const [alone, bare] = [await measure(a), await measure(undefined)];
    const [all, none] = [await measure(`0.5*${a},0.5*${a}`), await measure(`0.25*base,0.75*base`)];
    expect(all.loss).toBeCloseTo(alone.loss, 5);
    expect(all.learned_tokens).toBe(alone.learned_tokens);
    expect(none.loss).toBeCloseTo(bare.loss, 5);
    expect(none).toMatchObject({ method: null, num_virtual_tokens: 0 });
  });

  it('is measured by its loss and its texts, composed or blended', async () => {
    const [a, b] = [await trained(1), await trained(2)];
    const composed = await measure(`${a}+${b}`, 2);
    expect(composed).toMatchObject({ method: null, num_virtual_tokens: 10, sources: 2 });
    expect(composed.predictions).toHaveLength(2);
    const blend = `1.5*${a},-0.75*base,0.25*${b}+${a}`;
    const blended = await measure(blend, 1);
    expect(blended).toMatchObject({ method: null, num_virtual_tokens: 15 });
    for (const { loss } of [composed, blended]) expect(loss).toBeGreaterThan(0);
    expect(blended.loss).not.toBeCloseTo(composed.loss, 3);
  });

  it('has no loss where infixes are mixed', async () => {
    const infix = await trained(1, 'infix');
    expect((await measure(`2*${infix},-1*base`, 1)).loss).toBeNaN();
  });

  it('names what it cannot measure', async () => {
    const [a, infix] = [await trained(1), await trained(2, 'infix')];
    await expect(measure(`2*${a},-1*base`, 2)).rejects.toThrow('a blend has no beam search');
    await expect(measure(`${a}+${infix}`)).rejects.toThrow('prefixes and infixes are not composed');
    await expect(measure(`${a}+/no/such`)).rejects.toThrow('/no/such: no such directory');
    for (const wrong of [`x*${a}`, `2*${a},-1*`, `2*${a},base`]) {
      await expect(measure(wrong)).rejects.toThrow('is no entry of a blend');
    }
  });
});
