import { readFile } from 'node:fs/promises';

import { expect, it, onTestFinished } from 'vitest';

import { layOut } from '../../src/model/weights.js';
import { golden } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

/** Resident kilobytes of the mapped weights. */
async function residentWeights(): Promise<number> {
  const mappings = (await readFile('/proc/self/smaps', 'utf8')).split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  const weights = mappings.filter((mapping) => /weights\.bin$/m.test(mapping));
  expect(weights).toHaveLength(1);
  return Number(/^Rss:\s+(\d+) kB/m.exec(weights[0] ?? '')?.[1]);
}

it.runIf(process.platform === 'linux')(
  'gives the pages of embeddings back that prompts and rows have read',
  async () => {
    const model = await openTestModel(golden('tiny-a').directory);
    onTestFinished(() => model.dispose());
    const prompt = (past: number, tokens: number): Promise<unknown> => {
      const chunk = { slot: 0, past, tokens: Array<number>(tokens).fill(1), logits: 'last', temperature: 1 } as const;
      return model.runner.step({ rows: [chunk], topK: 1 });
    };
    await prompt(0, 1);
    expect(await residentWeights()).toBeGreaterThan(0);
    await prompt(1, 32);
    expect(await residentWeights()).toBe(0);
  },
);

it('lays vectors before matrices, each at a cache line, and gives their spans in the order given', () => {
  const specs = [
    { name: 'a', shape: [3, 5] },
    { name: 'b', shape: [17] },
    { name: 'c', shape: [2, 2] },
    { name: 'd', shape: [1] },
  ];
  const { spans, bytes } = layOut(specs);
  expect(spans).toEqual(specs.map((spec, index) => ({ ...spec, offset: [192, 0, 256, 128][index] })));
  expect(bytes).toBe(320);
});
