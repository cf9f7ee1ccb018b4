import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Span } from '../../src/engine/runner.js';
import type { Model, OpenModelOptions } from '../../src/model/model.js';
import { type BartGreedyCase, describeBarts } from '../support/bart-goldens.js';
import { openTestModel } from '../support/models.js';

const START = 2;
const SLOTS = 48;

interface Result {
  readonly ids: number[];
  readonly logprobs: number[];
  readonly first: Float32Array;
}

function describeBart(title: string, options: Partial<OpenModelOptions>, tolerance: number): void {
  describeBarts(title, (_, reference) => {
    let model: Model;
    beforeAll(async () => {
      model = await openTestModel(reference.directory, { slots: SLOTS, ...options });
    });
    afterAll(() => model.dispose());

    /** Greedy continuations of several cases together, each in a source slot that is not the KV slot's number. */
    async function greedy(cases: readonly BartGreedyCase[], maxSourceTokens: number): Promise<Result[]> {
      const { runner } = model;
      const sources = runner.sources;
      if (sources === undefined) throw new Error('no encoder');
      const rows = cases.map((testCase, slot) => ({
        ...{ testCase, slot, source: SLOTS - 1 - slot, token: START },
        prefix: reference.prefix(testCase.adapter),
        result: { ids: [] as number[], logprobs: [] as number[], first: new Float32Array() },
      }));
      for (const { testCase, slot, source, prefix } of rows) {
        const encoding = sources.begin(source, testCase.source, prefix);
        while (!(await encoding.advance(maxSourceTokens))); // until it is encoded
        encoding.dispose();
        if (prefix !== undefined && prefix.length > 0) await runner.append(slot, 0, prefix);
      }
      const longest = Math.max(...cases.map(({ ids }) => ids.length));
      for (let step = 0; step < longest; step++) {
        const spans = rows.map(({ slot, source, token, prefix }): Span => ({
          ...{
            slot,
            source,
            tokens: [token],
            past: (prefix?.length ?? 0) + step,
            position: (prefix?.shift ?? 0) + step,
          },
          ...{ logits: 'last', temperature: 1 },
        }));
        const output = await runner.step({ rows: spans, topK: 1 });
        rows.forEach((row, index) => {
          row.token = output.topIds[index] as number;
          if (step >= row.testCase.ids.length) return;
          row.result.ids.push(row.token);
          row.result.logprobs.push((output.topLogits[index] as number) - (output.lse[index] as number));
          if (step === 0) row.result.first = output.logits(index).slice();
        });
      }
      return rows.map(({ result }) => result);
    }

    /** Tokens are the same; log-probabilities and the first logits are near. */
    function compare(results: readonly Result[], cases: readonly BartGreedyCase[]): void {
      const { vocabularySize } = model.base;
      const differences = results.map(({ ids, logprobs, first }, i) => {
        const testCase = cases[i] as BartGreedyCase;
        const row = reference.cases.indexOf(testCase) * vocabularySize;
        expect(ids, testCase.id).toEqual(testCase.ids);
        const expected = reference.firstLogits.data.subarray(row, row + vocabularySize);
        const difference = Math.max(largestDifference(logprobs, testCase.logprobs), largestDifference(first, expected));
        expect(difference, testCase.id).toBeLessThan(tolerance);
        return difference;
      });
      expect(median(differences)).toBeLessThan(tolerance / 10);
    }

    it.each([1, 7, Infinity])('continues every case alone, sources in pieces of %s', async (size) => {
      const results: Result[] = [];
      for (const testCase of reference.cases) {
        results.push(...(await greedy([testCase], Math.min(size, testCase.source.length + 32))));
      }
      compare(results, reference.cases);
    });

    it('continues the cases of every batch together', async () => {
      for (const batch of reference.batches) {
        const cases = batch.map((id) => reference.cases.find((testCase) => testCase.id === id) as BartGreedyCase);
        compare(await greedy(cases, 128), cases);
      }
    });
    it('computes rows and a chunk that share sources as each alone', async () => {
      const { runner } = model;
      const encode = async (slot: number, source: readonly number[]): Promise<void> => {
        const encoding = runner.sources?.begin(slot, source);
        while (!((await encoding?.advance(16)) ?? true)); // until it is encoded
        encoding?.dispose();
      };
      const [a, b] = reference.cases.slice(1, 3).map(({ source }) => source) as [number[], number[]];
      await encode(4, a);
      await encode(1, b);
      const span = (slot: number, source: number, tokens: readonly number[]): Span => ({
        ...{ slot, source, tokens, past: 0, logits: 'last', temperature: 1 },
      });
      const spans = [span(0, 4, [2]), span(1, 1, [2]), span(2, 4, [9]), span(5, 1, [2, 7, 11])];
      const together = await runner.step({ rows: spans, topK: 1 });
      const logits = spans.map((_, row) => together.logits(row).slice());
      for (const [row, { source, tokens }] of spans.entries()) {
        const alone = await runner.step({ rows: [span(7, source as number, tokens)], topK: 1 });
        expect(largestDifference(alone.logits(0), logits[row] as Float32Array), String(row)).toBeLessThan(1e-3);
      }
      expect(largestDifference(logits[0] as Float32Array, logits[1] as Float32Array)).toBeGreaterThan(0.1);
    });

    it('refuses a step without a source, or with one that is not encoded', async () => {
      const row = { slot: 0, tokens: [START], past: 0, logits: 'last', temperature: 1 } as const;
      await expect(model.runner.step({ rows: [row], topK: 1 })).rejects.toThrow('row 0 has no source');
      model.runner.sources?.begin(3, [0, 2]).dispose();
      await expect(model.runner.step({ rows: [{ ...row, source: 3 }], topK: 1 })).rejects.toThrow('source slot 3');
      await expect(model.runner.step({ rows: [{ ...row, source: SLOTS }], topK: 1 })).rejects.toThrow(RangeError);
    });
  });
}

// Attention of these models is sharp: PyTorch's own float32 is up to 5.5e-3 from float64, and half of its cases more than 1.4e-4.
describeBart('float32', {}, 1e-2);
describeBart('cross-attention without the operator', { crossAttention: 'plain' }, 1e-2);

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] as number))), 0);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}
