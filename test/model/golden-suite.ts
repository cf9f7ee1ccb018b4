import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Span, StepOutput } from '../../src/engine/runner.js';
import type { Model, OpenModelOptions } from '../../src/model/model.js';
import { selfKv } from '../../src/prefix/kv.js';
import { prefixOf } from '../support/golden-prefix.js';
import { golden, goldenNames, type GreedyCase } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

export interface GoldenSuiteOptions {
  /** What the models are opened with. */
  readonly model?: Partial<OpenModelOptions>;
  /** How far log-probabilities and logits may be from those of Transformers and PEFT. */
  readonly tolerance?: number;
}

/** Every golden on a runner: what Transformers and PEFT computed, token by token. */
export function describeGoldens(title: string, options: GoldenSuiteOptions = {}): void {
  for (const name of goldenNames()) describe(`${name} on ${title}`, () => describeGolden(name, options));
}

function describeGolden(name: string, { model: modelOptions, tolerance = 1e-3 }: GoldenSuiteOptions): void {
  const reference = golden(name);
  let model: Model;

  beforeAll(async () => {
    model = await openTestModel(reference.directory, { slots: 4, ...modelOptions });
  });
  afterAll(() => model.dispose());

  /** Greedy continuation in one slot: the prompt in chunks of `chunkTokens`, then one token at a time. */
  async function greedy(testCase: GreedyCase, slot: number, chunkTokens: number) {
    const prefix = await prefixOf(model, reference, testCase);
    if (prefix !== undefined) await model.runner.append(slot, 0, prefix);
    let past = prefix?.length ?? 0;
    const run = async (tokens: readonly number[], logits: Span['logits']): Promise<StepOutput> => {
      const chunk = { slot, tokens, past, logits, temperature: 1 };
      past += tokens.length;
      return model.runner.step({ rows: [chunk], topK: 1 });
    };
    const { prompt } = testCase;
    const lastChunk = Math.floor((prompt.length - 1) / chunkTokens) * chunkTokens;
    for (let at = 0; at < lastChunk; at += chunkTokens) await run(prompt.slice(at, at + chunkTokens), 'none');
    let output = await run(prompt.slice(lastChunk), 'last');
    const first = output.logits(0).slice();
    const ids: number[] = [];
    const logprobs: number[] = [];
    for (;;) {
      const id = output.topIds[0] as number;
      ids.push(id);
      logprobs.push((output.topLogits[0] as number) - (output.lse[0] as number));
      if (ids.length === testCase.ids.length) return { ids, logprobs, first };
      output = await run([id], 'last');
    }
  }

  it.each([1, 7, Infinity])(
    'continues every case as Transformers and PEFT do, prompts in chunks of %s',
    async (size) => {
      const { cases } = reference.greedy;
      for (const [index, testCase] of cases.entries()) {
        const chunkTokens = Math.min(size, testCase.prompt.length, model.runner.maxChunkTokens);
        const { ids, logprobs, first } = await greedy(testCase, index % 4, chunkTokens);
        expect(ids, testCase.id).toEqual(testCase.ids);
        expect(largestDifference(logprobs, testCase.logprobs), testCase.id).toBeLessThan(tolerance);
        const vocabulary = model.base.vocabularySize;
        const expected = reference.firstLogits.data.subarray(index * vocabulary, (index + 1) * vocabulary);
        expect(largestDifference(first, expected), testCase.id).toBeLessThan(tolerance);
      }
    },
  );

  it('places an infix before the continuation, unseen by what stands before it', async () => {
    const { shape, data } = reference.infixRows;
    const infix = selfKv(shape[0] as number, data);
    for (const { prompt, continuation, logits } of reference.infix) {
      const chunk = { slot: 0, tokens: prompt, past: 0, logits: 'none', temperature: 1 } as const;
      await model.runner.step({ rows: [chunk], topK: 1 });
      await model.runner.append(0, prompt.length, infix);
      const past = prompt.length + infix.length;
      const rest = { slot: 0, tokens: continuation, past, logits: 'all', temperature: 1 } as const;
      const output = await model.runner.step({ rows: [rest], topK: 1 });
      logits.forEach((expected, row) => {
        expect(largestDifference(output.logits(row), expected)).toBeLessThan(tolerance);
      });
    }
  });

  it('computes a text prefix that continues as the text itself does', async () => {
    const { prompt } = reference.greedy.cases.find(({ prompt }) => prompt.length >= 17) as GreedyCase;
    const whole = { slot: 0, tokens: prompt, past: 0, logits: 'last', temperature: 1 } as const;
    const expected = (await model.runner.step({ rows: [whole], topK: 1 })).logits(0).slice();
    const prefix = await model.encoder.encodeTokens(prompt.slice(0, 9));
    await model.runner.append(1, 0, prefix);
    const rest = { slot: 1, tokens: prompt.slice(9), past: 9, logits: 'last', temperature: 1 } as const;
    const output = await model.runner.step({ rows: [rest], topK: 1 });
    expect(largestDifference(output.logits(0), expected)).toBeLessThan(tolerance / 10);
  });
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] as number))), 0);
}
