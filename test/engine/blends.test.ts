import { setImmediate } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import type { BlendEntry, BlendRequest, RequestPrefix } from '../../src/engine/request.js';
import { composeKv } from '../../src/prefix/kv.js';
import { blendAlone, ranked } from './blend-reference.js';
import { makeFakeKv, makeFakeSourceKv } from './fake-runner.js';
import { codeOf, collect, type Collected, engineMaker, makeRequest, runAlone, sampled, textOf } from './harness.js';

const setUp = engineMaker();

const entry = (seed: number, weight: number, placement: RequestPrefix['placement'] = 'prefix'): BlendEntry => ({
  prefix: { kv: makeFakeKv(2 + (seed % 4), seed), placement, version: `version ${seed}` },
  weight,
});
const base = (weight: number): BlendEntry => ({ prefix: undefined, weight });

function makeBlend(changes: Partial<BlendRequest> = {}): BlendRequest {
  return { ...makeRequest(), logprobs: 0, entries: [entry(1, 1.5), base(-0.5)], ...changes };
}

/** Holds what an engine gave against plain arithmetic over solo runs. */
async function check({ ids, tokens, reason }: Collected, request: BlendRequest, fake = {}): Promise<void> {
  const expected = await blendAlone(request, fake);
  expect(ids).toEqual(expected.ids);
  expect(reason).toBe('length');
  const behind = expected.logprobs.slice(request.prompt.length - 1);
  tokens.forEach(({ id, logprob }, i) => expect(logprob).toBeCloseTo(behind[i]![id]!, 4));
}

const composed: BlendEntry = {
  prefix: { kv: composeKv([makeFakeKv(3, 8), makeFakeKv(2, 9)]), placement: 'prefix', version: '8+9' },
  weight: 0.75,
};

const blends: [string, readonly BlendEntry[]][] = [
  ['a stronger prefix', [entry(1, 1.5), base(-0.5)]],
  ['an ensemble', [entry(1, 0.25), entry(2, 0.25), entry(3, 0.25), entry(4, 0.25)]],
  ['an infix and a prefix', [entry(1, 2, 'infix'), entry(2, -1)]],
  ['a composition', [composed, entry(2, 0.5)]],
  ['one entry with a weight', [entry(5, 2.5)]],
  ['weights that add up to nothing', [entry(1, 1), entry(2, -1)]],
];

describe('a blend', () => {
  test.each(blends)('is what arithmetic over its entries gives: %s', async (_, entries) => {
    for (const prompt of [[4], [20, 21, 22, 23, 24, 25, 26]]) {
      for (const sampling of [makeRequest().sampling, sampled(3), sampled(4, 0.5)]) {
        const request = makeBlend({ entries, prompt, sampling });
        for (const maxChunkTokens of [1, 3, 64]) {
          const { engine } = setUp({ slots: 4 }, { limits: { maxChunkTokens } });
          await check(await collect(engine.submitBlend(request)), request);
        }
      }
    }
  });

  test('of one entry that counts once is the sequence alone', async () => {
    const { engine } = setUp();
    const { prefix } = entry(1, 1);
    for (const sampling of [makeRequest().sampling, sampled(3)]) {
      const alone = await runAlone(makeRequest({ prefix, sampling }));
      const { ids, text } = await collect(engine.submitBlend(makeBlend({ entries: [entry(1, 1)], sampling })));
      expect({ ids, text }).toEqual({ ids: alone.ids, text: alone.text });
    }
  });

  test('reports the log-probabilities of the blend, best first', async () => {
    const { engine } = setUp();
    const request = makeBlend({ logprobs: 100 });
    const { tokens } = await collect(engine.submitBlend(request));
    const { logprobs } = await blendAlone(request);
    for (const [i, { top = [] }] of tokens.entries()) {
      const row = logprobs[request.prompt.length - 1 + i]!;
      expect([...top].map(({ id }) => id)).toEqual(ranked(row).slice(0, 100));
      for (const { id, logprob } of top) expect(logprob).toBeCloseTo(row[id]!, 4);
    }
  });

  test('ends with a stop string, an end token or its last token, and sends its text once', async () => {
    const { engine } = setUp();
    const { ids } = await blendAlone(makeBlend());
    const stopped = await collect(engine.submitBlend(makeBlend({ stop: [textOf(ids.slice(2, 4))] })));
    expect(stopped).toMatchObject({ text: textOf(ids.slice(0, 2)), reason: 'stop' });
    const ended = await collect(engine.submitBlend(makeBlend({ stopTokenIds: [ids[3]!] })));
    expect(ended).toMatchObject({ ids: ids.slice(0, ids.indexOf(ids[3]!) + 1), reason: 'stop' });
    expect((await collect(engine.submitBlend(makeBlend()))).text).toBe(textOf(ids));
  });

  test('bans, forces and changes tokens as one sequence does', async () => {
    const { engine } = setUp();
    const request = makeBlend();
    const { logprobs } = await blendAlone(request);
    const [best = -1, second] = ranked(logprobs[request.prompt.length - 1]!);
    const first = async (changes: Partial<BlendRequest>): Promise<number | undefined> =>
      (await collect(engine.submitBlend(makeBlend({ maxTokens: 1, ...changes })))).ids[0];
    expect(await first({})).toBe(best);
    expect(await first({ stopTokenIds: [best], minTokens: 1 })).toBe(second);
    expect(await first({ forcedFirstToken: 7 })).toBe(7);
    const none = { repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 };
    const adjustments = { ...none, bias: new Map([[best, -100]]) };
    expect(await first({ sampling: { ...request.sampling, adjustments } })).toBe(second);
  });

  test('with weights that add up to 1 keeps what a repetition penalty does', async () => {
    const { engine } = setUp();
    const { prefix } = entry(1, 1);
    const adjustments = { repetitionPenalty: 1.5, frequencyPenalty: 0, presencePenalty: 0, bias: new Map() };
    for (const sampling of [makeRequest().sampling, sampled(3)]) {
      const request = { prompt: [4, 5, 6], maxTokens: 24, sampling: { ...sampling, adjustments } };
      const { ids } = await runAlone(makeRequest({ ...request, prefix }));
      for (const [one, other] of [
        [0.5, 0.5],
        [2, -1],
      ] as const) {
        const blend = makeBlend({ ...request, entries: [entry(1, one), entry(1, other)] });
        expect((await collect(engine.submitBlend(blend))).ids).toEqual(ids);
      }
    }
  });

  test('computes one row for each entry in a step', async () => {
    const { engine, runner } = setUp({ slots: 6 });
    await collect(engine.submitBlend(makeBlend({ entries: [entry(1, 1), entry(2, 1), base(-1)], maxTokens: 4 })));
    expect(runner.steps.map(({ decode, chunk }) => [decode.length, chunk?.tokens.length])).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
      [3, undefined],
      [3, undefined],
      [3, undefined],
    ]);
  });
});

describe('a scored prompt', () => {
  const prompt = [5, 6, 7, 8, 9];

  test.each(blends)('has the log-probabilities of the blend: %s', async (_, entries) => {
    const { engine } = setUp();
    for (const maxTokens of [0, 1, 4]) {
      const request = makeBlend({ entries, prompt, promptLogprobs: 2, promptRanks: true, maxTokens });
      const { prompt: scored, ...rest } = await collect(engine.submitBlend(request));
      await check({ ...rest, prompt: scored }, request);
      expect(scored.map(({ id }) => id)).toEqual(prompt.slice(1));
      const { logprobs } = await blendAlone(request);
      for (const [i, { id, logprob, rank, top }] of scored.entries()) {
        const row = logprobs[i]!;
        expect(logprob).toBeCloseTo(row[id]!, 4);
        expect(rank).toBeGreaterThan(row.filter((one) => one > row[id]! + 1e-9).length);
        expect(rank).toBeLessThanOrEqual(row.filter((one) => one > row[id]! - 1e-9).length); // of equal ones
        expect([...top].map((one) => one.id)).toEqual(ranked(row).slice(0, 2));
      }
    }
  });
});

describe('blends and others', () => {
  test.each(['interactive', 'background'] as const)(
    'come, go and are cancelled at any time, as %s work',
    async (priority) => {
      let state = 11;
      const random = (below: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
      };
      const { engine } = setUp({ slots: 5 }, { limits: { maxChunkTokens: 4, promptCacheBytes: 4000 } });
      const runs = [];
      for (let i = 0; i < 60; i++) {
        const [, entries = []] = blends[random(blends.length)] ?? [];
        const prompt = Array.from({ length: 1 + random(30) }, (_, at) => (at + i) % 5);
        const single = makeRequest({ prompt, prefix: entries[0]?.prefix, choice: i, sampling: sampled(2) });
        const request = makeBlend({ entries, prompt, maxTokens: 1 + random(8), priority, sampling: sampled(9) });
        const generation = engine.submitBlend(random(6) === 0 ? { ...request, promptLogprobs: 0 } : request);
        const isCancelled = random(4) === 0;
        const run = { request, single, isCancelled };
        runs.push({ ...run, found: collect(generation), alone: collect(engine.submit(single)) });
        for (let wait = random(isCancelled ? 40 : 3); wait > 0; wait--) await setImmediate();
        if (isCancelled) generation.cancel();
        engine.checkIntegrity();
      }
      for (const { request, found, single, alone, isCancelled } of runs) {
        const collected = await found;
        if (collected.reason === 'abort') expect(isCancelled).toBe(true);
        else await check(collected, request);
        expect(await alone).toEqual(await runAlone(single));
      }
      expect(runs.filter(({ isCancelled }) => isCancelled).length).toBeGreaterThan(5);
    },
  );

  test('give all their slots up together, and go on as if nothing had been', async () => {
    const { engine, runner } = setUp({ slots: 3 }, { limits: { maxChunkTokens: 4 } });
    for (const steps of [1, 2, 4, 6]) {
      const request = makeBlend({
        entries: [entry(1, 1), entry(2, 1), base(-1)],
        prompt: [1, 2, 3, 4, 5, 6],
        priority: 'background',
        sampling: sampled(5),
      });
      const blend = collect(engine.submitBlend(request));
      const before = runner.steps.length;
      while (runner.steps.length < before + steps) await setImmediate();
      const others = [1, 2].map((token) => makeRequest({ prompt: [token, 8, 9], maxTokens: 3 }));
      const interactive = others.map((other) => collect(engine.submit(other)));
      while (engine.stats().waiting === 0 && engine.stats().running === 3) await setImmediate();
      expect(await Promise.all(interactive)).toEqual(await Promise.all(others.map(runAlone)));
      await check(await blend, request);
    }
  });

  test('a blend waits until it can have all its slots, and those behind it wait too', async () => {
    const { engine, runner } = setUp({ slots: 3 });
    const order: string[] = [];
    const note = async (name: string, end: Promise<unknown>): Promise<void> => {
      await end;
      order.push(name);
    };
    const entries = [entry(1, 1), entry(2, 1), entry(3, 1)];
    await Promise.all([
      note('first', collect(engine.submit(makeRequest({ prompt: [1], maxTokens: 6 })))),
      note('blend', collect(engine.submitBlend(makeBlend({ entries, prompt: [1], maxTokens: 2 })))),
      note('behind', collect(engine.submit(makeRequest({ prompt: [3], maxTokens: 1 })))),
    ]);
    expect(order).toEqual(['first', 'blend', 'behind']);
    expect(runner.steps.map(({ decode }) => decode.length)).toEqual([1, 1, 1, 1, 1, 1, 1, 3, 3, 1]);
  });

  test('choices of one blend compute the prompt of each entry once', async () => {
    const { engine, runner } = setUp({ slots: 8 });
    const entries = [entry(1, 1), entry(2, 0.5)].map((one) => ({ ...one, promptGroup: Symbol('prompt group') }));
    const prompt = Array.from({ length: 12 }, (_, i) => i);
    const requests = [0, 1, 2].map((choice) => makeBlend({ entries, prompt, choice, sampling: sampled(4) }));
    const found = await Promise.all(requests.map((request) => collect(engine.submitBlend(request))));
    for (const [i, request] of requests.entries()) await check(found[i]!, request);
    expect(runner.steps.flatMap(({ chunk }) => chunk?.tokens.length ?? [])).toEqual([12, 12]);
  });

  test('tenants are charged for every row', async () => {
    const { engine } = setUp({ slots: 4 });
    const order: string[] = [];
    const run = async (tenant: string, end: Promise<unknown>): Promise<void> => {
      await end;
      order.push(tenant);
    };
    const entries = [base(1), entry(1, 1), entry(2, 1), entry(3, 1)];
    const all = Array.from({ length: 6 }, () => [
      run('blends', collect(engine.submitBlend(makeBlend({ tenant: 'blends', entries, prompt: [1], maxTokens: 4 })))),
      run('singles', collect(engine.submit(makeRequest({ tenant: 'singles', prompt: [1], maxTokens: 4 })))),
    ]);
    await Promise.all(all.flat());
    expect(order.slice(0, 5).filter((tenant) => tenant === 'singles').length).toBeGreaterThanOrEqual(4);
  });
});

describe('with an encoder', () => {
  test('each entry attends to its own encoding of the source', async () => {
    const fake = { sourceLength: 40, slots: 3 };
    const prefixes = [{ encoder: 3, decoder: 5, cross: 2 }, { cross: 4 }, { embeddings: 3 }];
    const kvs = prefixes.map((lengths, i) => makeFakeSourceKv(lengths, i));
    const request = makeBlend({
      source: [5, 6, 7, 8, 9],
      prompt: [2],
      entries: kvs.map((kv, i) => ({ prefix: { kv, placement: 'prefix' }, weight: [1.5, -0.5, 0.25][i]! })),
    });
    for (const maxSourceTokens of [2, 128]) {
      const { engine } = setUp(fake, { limits: { maxSourceTokens } });
      await check(await collect(engine.submitBlend(request)), request, fake);
    }
  });
});

describe('cancelling', () => {
  test.each([
    ['while the first prompt is computed', 1],
    ['between two prompts', 3],
    ['in the middle of the text', 8],
  ])('%s frees all slots by the next step', async (_, after) => {
    const { engine, runner } = setUp({ slots: 2 }, { limits: { maxChunkTokens: 2 } });
    const blend = engine.submitBlend(makeBlend({ prompt: Array<number>(6).fill(1), maxTokens: 20 }));
    const next = [1, 2].map((token) => collect(engine.submit(makeRequest({ prompt: [token], maxTokens: 2 }))));
    runner.beforeStep = () => {
      if (runner.steps.length === after) blend.cancel();
    };
    expect(await collect(blend)).toMatchObject({ reason: 'abort' });
    await Promise.all(next);
    expect(runner.steps.slice(after).map(({ decode }) => decode.map(({ past }) => past))).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });

  test('a blend that waits leaves the queue', async () => {
    const { engine } = setUp({ slots: 2 });
    const running = collect(engine.submit(makeRequest({ maxTokens: 20 })));
    const blend = engine.submitBlend(makeBlend());
    await setImmediate();
    await setImmediate();
    expect(engine.stats()).toMatchObject({ waiting: 1, waitingTokens: 2 * (3 + 8), running: 1 });
    blend.cancel();
    expect(engine.stats()).toMatchObject({ waiting: 0, waitingTokens: 0 });
    expect(await collect(blend)).toMatchObject({ ids: [], reason: 'abort' });
    await running;
  });
});

test('a step that fails ends a blend with an error, and the engine goes on', async () => {
  const { engine, runner } = setUp({ slots: 2 });
  const step = runner.step.bind(runner);
  runner.step = () => Promise.reject(new Error('broken'));
  const failed = collect(engine.submitBlend(makeBlend()));
  const waiting = collect(engine.submitBlend(makeBlend()));
  await expect(failed).rejects.toMatchObject({ code: 'runner_failed' });
  runner.step = step;
  await check(await waiting, makeBlend());
});

describe('limits', () => {
  test.each([
    ['more entries than slots', { entries: [1, 2, 3].map((seed) => entry(seed, 1)) }],
    ['no entry', { entries: [] }],
    ['a weight that is no number', { entries: [entry(1, NaN), base(1)] }],
    ['an infinite weight', { entries: [entry(1, Infinity), base(1)] }],
  ])('refuses %s', (_, changes) => {
    expect(codeOf(() => setUp({ slots: 2 }).engine.submitBlend(makeBlend(changes)))).toBe('invalid_blend');
  });

  test('refuses a blend of which one entry does not fit the context', () => {
    const { engine } = setUp();
    const entries = [base(1), { prefix: { kv: makeFakeKv(90, 1), placement: 'prefix' }, weight: 1 } as const];
    expect(codeOf(() => engine.submitBlend(makeBlend({ entries })))).toBe('context_length_exceeded');
    expect(codeOf(() => engine.submitBlend(makeBlend({ prompt: [] })))).toBe('invalid_prompt');
  });

  test('says how many fit an idle engine, each with the tokens of all its entries', () => {
    const { engine } = setUp({ slots: 2 }, { limits: { maxWaitingTokens: 4 * (3 + 8), maxWaitingRequests: 100 } });
    expect(engine.countFitting(Array.from({ length: 9 }, () => makeBlend()))).toBe(2);
    expect(engine.countFitting(Array.from({ length: 9 }, () => makeRequest()))).toBe(4);
  });
});
