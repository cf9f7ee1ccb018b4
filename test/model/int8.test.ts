import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bundledModel } from '../../src/config/paths.js';
import type { Span } from '../../src/engine/runner.js';
import type { Model, OpenModelOptions } from '../../src/model/model.js';
import { bytesOf } from '../../src/model/weights.js';
import { encodeSafetensors, type FloatTensor } from '../../src/safetensors/index.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { golden, goldenNames, readTensors } from '../support/goldens.js';
import { INT8_FORMS } from '../support/int8-forms.js';
import { openTestModel } from '../support/models.js';

const IN_COLUMNS = INT8_FORMS.filter((form) => form !== 'blocks');

describe.each(goldenNames())('%s', (name) => {
  describe.each(IN_COLUMNS)('in int8 with %s weights', (int8) => {
    let model: Model;
    beforeAll(async () => {
      model = await openTestModel(golden(name).directory, { weights: 'int8', int8 });
    });
    afterAll(() => model.dispose());

    /** Logits of the spans of one step whose logits are wanted, as bytes. */
    async function step(...rows: Span[]): Promise<Uint8Array[]> {
      const output = await model.runner.step({ rows, topK: 1 });
      return Array.from({ length: output.rows }, (_, row) => bytesOf(output.logits(row).slice()));
    }

    it('gives a row the same bits alone, among other rows and beside a chunk', async () => {
      const { vocabularySize } = model.base;
      const tokensOf = (slot: number): number[] =>
        Array.from({ length: 9 }, (_, i) => (slot * 31 + i * 7 + 1) % vocabularySize);
      const slots = [0, 1, 2, 3, 4, 5, 6];
      const row = (slot: number): Span => {
        return { slot, tokens: tokensOf(slot).slice(8), past: 8, logits: 'last', temperature: 1 };
      };
      const alone: Uint8Array[] = [];
      for (const slot of slots) {
        await step({ slot, tokens: tokensOf(slot).slice(0, 8), past: 0, logits: 'none', temperature: 1 });
        alone.push(...(await step(row(slot))));
      }
      expect(await step(...slots.map(row))).toEqual(alone);
      expect(await step(row(0), row(1), row(2))).toEqual(alone.slice(0, 3));
      const chunk: Span = { slot: 7, tokens: tokensOf(7), past: 0, logits: 'none', temperature: 1 };
      expect(await step(...slots.map(row), chunk)).toEqual(alone);
    });
  });
});

/** Channels that the norms of a layer make much larger than the rest, as trained GPT-2s have some, and how much. */
const OUTLIERS = { channels: [5, 40], factor: 12 };
const TEXTS = [
  'About Edith Walker\nNeed a clockmaker in Redcliff? Call Edith Walker! 9 years of experience, friendly service, and always on time!',
  'About the boat race\nClara Brook to Open Boat Race at The Church on Friday',
];

describe('the bundled model with outlier channels', () => {
  let directory: string;
  let source: string;
  beforeAll(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-outliers-'));
    source = path.join(directory, 'outliers');
    await fs.cp(bundledModel, source, { recursive: true });
    const file = path.join(source, 'model.safetensors');
    const tensors = readTensors(file);
    addOutliers(tensors);
    await fs.writeFile(file, encodeSafetensors(tensors));
  });
  afterAll(() => fs.rm(directory, { recursive: true }));

  it('is as good as the one without, and in int8 as in float32', async () => {
    const plain = await lossOf(bundledModel, {});
    const loss = await lossOf(source, {});
    expect(Math.abs(loss - plain)).toBeLessThan(1e-4);
    for (const int8 of IN_COLUMNS) {
      const inInt8 = await lossOf(source, { weights: 'int8', int8 });
      expect(inInt8).not.toBe(loss);
      expect(Math.abs(inInt8 / loss - 1), int8).toBeLessThan(0.005);
    }
  });

  /** Mean negative log-probability of the texts' tokens, in nats. */
  async function lossOf(checkpoint: string, options: Partial<OpenModelOptions>): Promise<number> {
    const model = await openTestModel(checkpoint, { slots: 1, ...options });
    const tokenizer = await loadTokenizer(model.tokenizerDirectory);
    const losses: number[] = [];
    for (const text of TEXTS) {
      const tokens = tokenizer.encode(text);
      const span = { slot: 0, tokens: tokens.slice(0, -1), past: 0, logits: 'all', temperature: 1 } as const;
      const output = await model.runner.step({ rows: [span], topK: 1 });
      for (let row = 0; row < output.rows; row++) {
        losses.push((output.lse[row] as number) - (output.logits(row)[tokens[row + 1] as number] as number));
      }
    }
    await model.dispose();
    return losses.reduce((sum, loss) => sum + loss) / losses.length;
  }
});

/** Makes some channels of what the layers' norms return larger, and the weights that read them smaller: the function stays the same. */
function addOutliers(tensors: Record<string, FloatTensor>): void {
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const isNorm = /\.ln_[12]\.(weight|bias)$/.test(name);
    const isReader = /\.(attn\.c_attn|mlp\.c_fc)\.weight$/.test(name);
    for (const channel of OUTLIERS.channels) {
      if (isNorm) data[channel] = (data[channel] as number) * OUTLIERS.factor;
      if (!isReader) continue;
      const columns = shape[1] as number;
      for (let i = channel * columns; i < (channel + 1) * columns; i++) data[i] = (data[i] as number) / OUTLIERS.factor;
    }
  }
}
