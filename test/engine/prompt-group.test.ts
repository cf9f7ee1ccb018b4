import { setImmediate } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import type { GenerationRequest } from '../../src/engine/request.js';
import { makeFakeKv, type FakeRunner } from './fake-runner.js';
import { collect, engineMaker, makeRequest, runAlone, sampled } from './harness.js';

const setUp = engineMaker();

const prompt = Array.from({ length: 10 }, (_, i) => i + 1);

/** The choices of one request. */
function makeSiblings(count: number, changes: Partial<GenerationRequest> = {}): GenerationRequest[] {
  const promptGroup = Symbol('prompt group');
  return Array.from({ length: count }, (_, choice) =>
    makeRequest({ prompt, promptGroup, choice, sampling: sampled(5), ...changes }),
  );
}

/** Prompt tokens computed: those of chunks, and first steps of decode rows that copied the rest. */
function countPromptTokens(runner: FakeRunner, length = prompt.length, virtual = 0): number {
  const chunks = runner.steps.reduce((total, { chunk }) => total + (chunk?.tokens.length ?? 0), 0);
  const rows = runner.steps.flatMap(({ decode }) => decode).filter(({ past }) => past === length - 1 + virtual);
  return chunks + rows.length;
}

describe('siblings', () => {
  test('compute their prompt once, and its last token each', async () => {
    const { engine, runner } = setUp();
    await Promise.all(makeSiblings(4).map((request) => collect(engine.submit(request))));
    expect(countPromptTokens(runner)).toBe(10 + 3);
    expect(runner.steps[1]?.decode.map(({ past }) => past)).toEqual([10, 9, 9, 9]);
  });

  test.each([0, 1])(
    'that end with their prompt, at %i tokens, compute it once for as many as there are slots',
    async (maxTokens) => {
      const { engine, runner } = setUp({ slots: 4 });
      const requests = makeSiblings(8, { maxTokens, promptLogprobs: 2, logprobs: 2 });
      const together = await Promise.all(requests.map((request) => collect(engine.submit(request))));
      expect(together).toEqual(await Promise.all(requests.map(runAlone)));
      expect(countPromptTokens(runner)).toBe(2 * (9 + 4));
    },
  );

  test('of different requests share nothing', async () => {
    const { engine, runner } = setUp();
    const requests = [...makeSiblings(1), ...makeSiblings(1), makeRequest({ prompt }), makeRequest({ prompt })];
    await Promise.all(requests.map((request) => collect(engine.submit(request))));
    expect(countPromptTokens(runner)).toBe(40);
  });

  const placements = [undefined, 'prefix', 'infix'] as const;
  const cases = placements.flatMap((placement) =>
    [1, 4, 64].flatMap((maxChunkTokens) => [2, 3, 8].map((slots) => ({ placement, maxChunkTokens, slots }))),
  );

  test.each(cases)('are as they are alone, %j', async ({ placement, maxChunkTokens, slots }) => {
    const { engine, runner } = setUp({ slots }, { limits: { maxChunkTokens } });
    const prefix = placement && { kv: makeFakeKv(6, 1), placement };
    const requests = [3, 4].flatMap((seed) => makeSiblings(4, { prefix, sampling: sampled(seed) }));
    const company = makeRequest({ prompt: [7, 8], maxTokens: 30 });
    const all = [company, ...requests, makeRequest({ prompt: [9] })];
    const together = await Promise.all(all.map((request) => collect(engine.submit(request))));
    expect(together).toEqual(await Promise.all(all.map(runAlone)));
    expect(new Set(together.map(({ ids }) => ids.join())).size).toBe(all.length);
    const computed = runner.steps.reduce((total, { chunk }) => total + (chunk?.tokens.length ?? 0), 0);
    expect(computed).toBeLessThan(slots > 2 ? 4 * prompt.length : 8 * prompt.length);
  });

  test('with prompts of one and of two tokens are as they are alone', async () => {
    for (const short of [[5], [5, 6]]) {
      for (const placement of placements) {
        const { engine } = setUp();
        const prefix = placement && { kv: makeFakeKv(6, 1), placement };
        const requests = makeSiblings(3, { prompt: short, prefix });
        const together = await Promise.all(requests.map((request) => collect(engine.submit(request))));
        expect(together).toEqual(await Promise.all(requests.map(runAlone)));
      }
    }
  });

  test('take the prompt from one that is far ahead, when slots are few', async () => {
    const { engine, runner } = setUp({ slots: 2 });
    const [long, ...short] = makeSiblings(6);
    const requests = [{ ...long!, maxTokens: 40 }, ...short.map((request) => ({ ...request, maxTokens: 3 }))];
    const together = await Promise.all(requests.map((request) => collect(engine.submit(request))));
    expect(together).toEqual(await Promise.all(requests.map(runAlone)));
    expect(countPromptTokens(runner)).toBe(10 + 5);
  });

  test('compute it anew when none holds a slot any more', async () => {
    const { engine, runner } = setUp({ slots: 1 });
    const requests = makeSiblings(3);
    const together = await Promise.all(requests.map((request) => collect(engine.submit(request))));
    expect(together).toEqual(await Promise.all(requests.map(runAlone)));
    expect(countPromptTokens(runner)).toBe(30);
  });

  test('go on when the first is cancelled in the middle of its prompt', async () => {
    const { engine, runner } = setUp({}, { limits: { maxChunkTokens: 2 } });
    const requests = makeSiblings(3);
    const [first, ...others] = requests.map((request) => engine.submit(request));
    while (runner.steps.length < 3) await setImmediate();
    first!.cancel();
    expect(await collect(first!)).toMatchObject({ ids: [], reason: 'abort' });
    const rest = await Promise.all(others.map((generation) => collect(generation)));
    expect(rest).toEqual(await Promise.all(requests.slice(1).map(runAlone)));
    const chunks = runner.steps.flatMap(({ chunk }) => chunk?.past ?? []);
    expect(chunks.filter((past) => past === 0)).toHaveLength(2);
    expect(chunks.at(-1)).toBe(8);
  });

  test('go on when the runner fails while the first is in prefill', async () => {
    const { engine, runner } = setUp({}, { limits: { maxChunkTokens: 4 } });
    runner.beforeStep = () => {
      if (runner.steps.length === 2) throw new Error('broken');
    };
    const requests = makeSiblings(3);
    const [first, ...others] = requests.map((request) => engine.submit(request));
    await expect(collect(first!)).rejects.toThrow('failed');
    const rest = await Promise.all(others.map((generation) => collect(generation)));
    expect(rest).toEqual(await Promise.all(requests.slice(1).map(runAlone)));
  });

  test('share the scores of their prompt', async () => {
    const { engine, runner } = setUp({}, { limits: { maxChunkTokens: 4 } });
    const requests = makeSiblings(3, { promptLogprobs: 2, logprobs: 1 });
    const together = await Promise.all(requests.map((request) => collect(engine.submit(request))));
    expect(together).toEqual(await Promise.all(requests.map(runAlone)));
    expect(together[2]?.prompt).toHaveLength(9);
    expect(countPromptTokens(runner)).toBe(10 + 2);
  });
});
