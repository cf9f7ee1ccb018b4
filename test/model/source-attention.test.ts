import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Span } from '../../src/engine/runner.js';
import type { CrossForm } from '../../src/model/cross-attention.js';
import type { Model } from '../../src/model/model.js';
import { openTestModel } from '../support/models.js';
import { writeTinyBart } from '../support/tiny-bart.js';

const TARGET = [2, 5, 9, 40, 7, 11];
let directory: string;
beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-tiny-bart-'));
  await writeTinyBart(directory);
});
afterAll(() => fs.rm(directory, { recursive: true, force: true }));

describe.each<CrossForm>(['fused', 'plain'])('attention to sources, %s', (crossAttention) => {
  let model: Model;
  beforeAll(async () => {
    model = await openTestModel(directory, { slots: 4, crossAttention });
    for (const [slot, source] of [[3], [4, 5], [6, 7, 8, 9, 10, 11, 12, 13]].entries()) {
      const encoding = model.runner.sources?.begin(slot, source);
      while (encoding && !(await encoding.advance(source.length)));
      encoding?.dispose();
    }
  });
  afterAll(() => model.dispose());

  it.each([0, 1, 2])('of a chunk longer than source %i is that of its tokens one by one', async (source) => {
    const { runner } = model;
    const singly: number[][] = [];
    for (const [past, token] of TARGET.entries()) {
      const { logits } = await runner.step({
        rows: [{ slot: 0, source, tokens: [token], past, logits: 'last', temperature: 1 }],
        topK: 1,
      });
      singly.push([...logits(0)]);
    }
    const chunk: Span = { slot: 1, source, tokens: TARGET, past: 0, logits: 'all', temperature: 1 };
    const { logits } = await runner.step({ rows: [chunk], topK: 1 });
    singly.forEach((expected, row) => {
      const difference = Math.max(...expected.map((value, i) => Math.abs(value - (logits(row)[i] as number))));
      expect(difference).toBeLessThan(1e-4);
    });
  });
});
