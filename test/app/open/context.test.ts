import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { checkContext } from '../../../src/app/open/context.js';
import { openServedModel } from '../../../src/app/open/model.js';
import { readConfig } from '../../../src/config/config.js';
import { golden } from '../../support/goldens.js';
import { modelCache, openTestModel } from '../../support/models.js';
import { writeTinyBart } from '../../support/tiny-bart.js';

const { directory } = golden('tiny-llama3');

/** Checks settings beside those of a model with 4 slots. */
function check(settings: Record<string, string>, memory?: number): Promise<void> {
  const fixed = { PREAMBLE_MODEL: directory, PREAMBLE_CACHE: modelCache, PREAMBLE_SLOTS: '4' };
  return checkContext(readConfig({ ...fixed, ...settings }), memory);
}

describe('PREAMBLE_MAX_MODEL_LEN', () => {
  it('refuses slots that the memory cannot hold, with what would fit', async () => {
    const model = await openTestModel(directory, { slots: 1 });
    const { contextLength, sites } = model.base;
    await model.dispose();
    const position = sites.reduce((sum, { layers, kvHeads, headDim }) => sum + 2 * layers * kvHeads * headDim * 4, 0);
    const memory = 4 * position * 20 + 1;
    await expect(check({}, memory)).rejects.toMatchObject({
      variable: 'PREAMBLE_MAX_MODEL_LEN',
      message: expect.stringMatching(
        new RegExp(`4 slots \\(PREAMBLE_SLOTS\\) of ${contextLength} positions need .* at most 20 positions fit`),
      ) as string,
    });
    await check({ PREAMBLE_MAX_MODEL_LEN: '20' }, memory);
    await check({ PREAMBLE_KV: 'float16', PREAMBLE_MAX_MODEL_LEN: '40' }, memory);
    await expect(check({ PREAMBLE_MAX_MODEL_LEN: '21' }, memory)).rejects.toThrow('at most 20 positions fit');
    await expect(check({ PREAMBLE_MAX_MODEL_LEN: '2' }, position)).rejects.toThrow('set PREAMBLE_SLOTS lower');
  });

  it('refuses more than the model has, and an encoder-decoder', async () => {
    await expect(check({ PREAMBLE_MAX_MODEL_LEN: '100000' })).rejects.toThrow(/100000 is more than the \d+ positions/);
    const bart = path.join(modelCache, 'tiny-bart');
    await writeTinyBart(bart);
    const settings = { PREAMBLE_MODEL: bart, PREAMBLE_MAX_MODEL_LEN: '8' };
    await expect(check(settings)).rejects.toThrow('the context of an encoder-decoder cannot be set lower');
  });

  it.each(['tiny-a', 'tiny-llama3'])(
    'serves the same tokens in fewer positions, and prefixes of the same model: %s',
    async (name) => {
      const source = golden(name).directory;
      const settings = {
        PREAMBLE_MODEL: source,
        PREAMBLE_CACHE: modelCache,
        PREAMBLE_SLOTS: '4',
        PREAMBLE_MAX_MODEL_LEN: '24',
      };
      const [whole, limited] = [await openTestModel(source), await openServedModel(readConfig(settings))];
      const rows = [
        { slot: 0, tokens: [3], past: 0, logits: 'last', temperature: 1 },
        { slot: 1, tokens: [5, 7, 11, 13], past: 0, logits: 'last', temperature: 1 },
      ] as const;
      const logits = async ({ runner }: typeof whole): Promise<number[][]> => {
        const output = await runner.step({ rows, topK: 1 });
        return rows.map((_, row) => [...output.logits(row)]);
      };
      expect(await logits(limited)).toEqual(await logits(whole));
      expect(limited.base.contextLength).toBe(24);
      expect(limited.base.fingerprint).toBe(whole.base.fingerprint);
      const long = { slot: 2, tokens: [1], past: 24, logits: 'last', temperature: 1 } as const;
      await expect(limited.runner.step({ rows: [long], topK: 1 })).rejects.toThrow('do not fit a slot of 24');
      await Promise.all([whole.dispose(), limited.dispose()]);
    },
  );
});
