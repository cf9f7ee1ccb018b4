import { setImmediate } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import type { GenerationRequest } from '../../src/engine/request.js';
import { Engine } from '../../src/engine/engine.js';
import { FakeRunner, makeFakeKv, makeFakeSourceKv } from './fake-runner.js';
import { type Collected, collect, engineMaker, letters, makeRequest, runAlone, sampled } from './harness.js';
import { mix } from './mix.js';
import { OracleDrafts, ORACLES } from './oracle-drafts.js';

const setUp = engineMaker();
const VOCABULARY = 150;

/** What requests yield together with drafts, and the oracle that made those. */
async function runWithDrafts(
  requests: readonly GenerationRequest[],
  oracle: OracleDrafts,
  options: Parameters<typeof setUp> = [],
): Promise<{ readonly collected: readonly Collected[]; readonly runner: FakeRunner; readonly engine: Engine }> {
  const [fake, parts] = options;
  const { engine, runner } = setUp(fake, { ...parts, drafting: oracle });
  const collected = await Promise.all(requests.map((request) => collect(engine.submit(request))));
  return { collected, runner, engine };
}

/** Requests that use, between them, everything that decides a token or ends a text. */
const kinds: Readonly<Record<string, Partial<GenerationRequest>>> = {
  greedy: {},
  'one token': { maxTokens: 1 },
  'a long text': { maxTokens: 60 },
  'log-probabilities': { logprobs: 3 },
  sampled: { sampling: sampled(7), maxTokens: 30 },
  'sampled, truncated': { sampling: { ...sampled(8, 0.7), topK: 9, topP: 0.9, minP: 0.01 }, maxTokens: 30 },
  penalties: {
    sampling: {
      ...sampled(9),
      adjustments: { bias: new Map([[5, 3]]), repetitionPenalty: 1.3, frequencyPenalty: 0.4, presencePenalty: 0.2 },
    },
    maxTokens: 30,
  },
  'greedy with penalties': {
    sampling: {
      ...sampled(undefined, 0),
      adjustments: { bias: new Map(), repetitionPenalty: 1.5, frequencyPenalty: 0, presencePenalty: 0 },
    },
    maxTokens: 20,
  },
  'an end token': { ignoreEos: false, stopTokenIds: [3, 4, 5, 6, 7, 8, 9], maxTokens: 60 },
  'a minimum length': { stopTokenIds: Array.from({ length: 100 }, (_, id) => id), minTokens: 9, maxTokens: 30 },
  'stop strings': { stop: ['a', 'bc', 'd'], minTokens: 3, maxTokens: 60 },
  'stop strings that are part of the text': { stop: ['e', 'fg'], includesStop: true, maxTokens: 60 },
  'no repeated n-grams': { noRepeatNgramSize: 1, maxTokens: 50 },
  'bad words': { badWords: Array.from({ length: 70 }, (_, id) => [id]), maxTokens: 20 },
  'forced tokens': { forcedFirstToken: 11, forcedLastToken: 12, maxTokens: 9 },
  'a scored prompt': { prompt: [5, 6, 7, 8, 9], promptLogprobs: 2, logprobs: 0 },
  'a prefix': { prefix: { kv: makeFakeKv(5, 1), placement: 'prefix' } },
  'an infix': { prefix: { kv: makeFakeKv(4, 2), placement: 'infix' }, prompt: [4] },
  'a whole context': { prompt: [1, 2], maxTokens: 94 },
};

describe.each(ORACLES)('drafts that are %s', (kind) => {
  test.each(Object.entries(kinds))('change nothing: %s', async (_, changes) => {
    const request = makeRequest(changes);
    const expected = await runAlone(request);
    const oracle = new OracleDrafts(kind, VOCABULARY);
    oracle.know(request, expected.ids);
    const { collected } = await runWithDrafts([request], oracle);
    expect(collected).toEqual([expected]);
    if (kind === 'right') expect(oracle.numAccepted).toBe(oracle.numDrafted);
    if (kind === 'wrong') expect(oracle.numAccepted).toBe(0);
  });

  test('change nothing for requests of every kind that come and go together', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const oracle = new OracleDrafts(kind, VOCABULARY);
      const { engine } = setUp(
        { slots: 5 },
        { drafting: oracle, limits: { maxChunkTokens: 5, promptCacheBytes: 2 ** 14 } },
      );
      const runs: Promise<void>[] = [];
      for (let i = 0; i < 30; i++) {
        const random = (below: number, what: number): number => mix(mix(seed, i), what) % below;
        const changes = Object.values(kinds)[random(Object.keys(kinds).length, 1)] ?? {};
        const request = makeRequest({
          prompt: Array.from({ length: 1 + random(2, 3) * 20 }, (_, at) => (at * 7) % 150),
          ...changes,
          priority: random(4, 2) === 0 ? 'background' : 'interactive',
        });
        if (request.prompt.length + request.maxTokens + 5 > 96) continue;
        const expected = await runAlone(request);
        oracle.know(request, expected.ids);
        const leaveAfter = random(5, 4) === 0 ? 1 + random(6, 5) : Infinity;
        runs.push(
          collect(engine.submit(request), leaveAfter).then(({ ids }) => {
            expect(ids).toEqual(expected.ids.slice(0, Math.min(leaveAfter, expected.ids.length)));
          }),
        );
        for (let wait = random(8, 6); wait > 0; wait--) await setImmediate();
        engine.checkIntegrity();
      }
      await Promise.all(runs);
      await engine.idle();
      engine.checkIntegrity();
      if (kind !== 'wrong') expect(oracle.numAccepted).toBeGreaterThan(0);
    }
  });

  test('change nothing for the choices of one prompt', async () => {
    const promptGroup = Symbol('group');
    const requests = Array.from({ length: 4 }, (_, choice) => {
      return makeRequest({ prompt: [9, 8, 7, 6, 5], sampling: sampled(3), choice, promptGroup, maxTokens: 20 });
    });
    const expected = await Promise.all(requests.map((request) => runAlone(request)));
    const oracle = new OracleDrafts(kind, VOCABULARY);
    requests.forEach((request, i) => oracle.know(request, expected[i]?.ids ?? []));
    expect((await runWithDrafts(requests, oracle)).collected).toEqual(expected);
  });

  test('change nothing behind sources', async () => {
    const fake = { sourceLength: 40 };
    const requests = [1, 2, 3].map((seed) => {
      const kv = makeFakeSourceKv({ encoder: 2, decoder: 3, cross: 1 }, seed);
      return makeRequest({ source: [seed, 4, 5], prompt: [2], maxTokens: 20, prefix: { kv, placement: 'prefix' } });
    });
    const expected: Collected[] = [];
    for (const request of requests) expected.push(await collect(setUp({ slots: 1, ...fake }).engine.submit(request)));
    const oracle = new OracleDrafts(kind, VOCABULARY);
    requests.forEach((request, i) => oracle.know(request, expected[i]?.ids ?? []));
    expect((await runWithDrafts(requests, oracle, [fake])).collected).toEqual(expected);
  });
});

test('right drafts save steps, and wrong ones cost none', async () => {
  const request = makeRequest({ prompt: [1], maxTokens: 60 });
  const { ids } = await runAlone(request);
  const steps = async (kind: 'right' | 'wrong'): Promise<number> => {
    const oracle = new OracleDrafts(kind, VOCABULARY);
    oracle.know(request, ids);
    return (await runWithDrafts([request], oracle)).runner.steps.length;
  };
  expect([await steps('right'), await steps('wrong')]).toEqual([10, 60]);
});

test('a beam search beside sequences with drafts has none, and yields what it yields alone', async () => {
  const beams = { ...makeRequest({ prompt: [3, 1], maxTokens: 8 }), width: 3, lengthPenalty: 1 };
  const { sampling: _sampling, choice: _choice, minTokens: _min, stop: _stop, ...search } = beams;
  const alone = await Promise.all(
    setUp()
      .engine.submitBeams(search)
      .map((one) => collect(one)),
  );
  const request = makeRequest({ prompt: [1], maxTokens: 40 });
  const expected = await runAlone(request);
  const oracle = new OracleDrafts('right', VOCABULARY);
  oracle.know(request, expected.ids);
  const { engine } = setUp({}, { drafting: oracle });
  const together = await Promise.all(
    [engine.submit(request), ...engine.submitBeams(search)].map((one) => collect(one)),
  );
  expect(together).toEqual([expected, ...alone]);
  expect(oracle.numAccepted).toBeGreaterThan(0);
});

test('a cancelled sequence has no token more, and its draft is not told of', async () => {
  const request = makeRequest({ maxTokens: 40 });
  const { ids } = await runAlone(request);
  const oracle = new OracleDrafts('right', VOCABULARY);
  oracle.know(request, ids);
  const { engine, runner } = setUp({}, { drafting: oracle });
  const generation = engine.submit(request);
  runner.beforeStep = ({ isVerifying }) => {
    if (isVerifying) generation.cancel();
  };
  expect(await collect(generation)).toMatchObject({ ids: ids.slice(0, 1), reason: 'abort' });
  expect(oracle.numAccepted).toBe(0);
});

test('a tenant is charged for every token of a draft that comes true', async () => {
  // Two tenants, one slot: tenant a's five texts with drafts and b's without take turns as they would without drafts.
  const order = async (withDrafts: boolean): Promise<string[]> => {
    const oracle = new OracleDrafts('right', VOCABULARY);
    const { engine } = setUp({ slots: 1 }, withDrafts ? { drafting: oracle } : {});
    const done: string[] = [];
    const runs = ['a', 'b'].flatMap((tenant) =>
      [1, 2, 3, 4, 5].map(async (n) => {
        const request = makeRequest({ tenant, prompt: [n], maxTokens: tenant === 'a' ? 24 : 8 });
        if (tenant === 'a') oracle.know(request, (await runAlone(request)).ids);
        await setImmediate();
        return request;
      }),
    );
    const requests = await Promise.all(runs);
    await Promise.all(
      requests.map(async (request) => {
        await collect(engine.submit(request));
        done.push(request.tenant);
      }),
    );
    return done;
  };
  expect(await order(true)).toEqual(await order(false));
});

test('text of several tokens of a step comes as one event a token', async () => {
  const request = makeRequest({ prompt: [1], maxTokens: 12 });
  const expected = await runAlone(request);
  const oracle = new OracleDrafts('right', VOCABULARY);
  oracle.know(request, expected.ids);
  const runner = new FakeRunner();
  const engine = new Engine({ runner, tokenizer: letters, eosTokenIds: [0], drafting: oracle });
  const texts: string[] = [];
  for await (const event of engine.submit(request)) if (event.type === 'token') texts.push(event.text);
  expect(texts).toEqual(expected.tokens.map(({ text }) => text));
  expect(runner.steps.length).toBeLessThan(texts.length);
});
