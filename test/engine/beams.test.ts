import { setImmediate } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { BeamSearch } from '../../src/engine/beams/beam-search.js';
import type { BeamRequest, Generation, ScoredToken } from '../../src/engine/request.js';
import { FakeRunner, makeFakeKv, rowOf } from './fake-runner.js';
import { codeOf, collect, engineMaker, makeRequest, runAlone, sampled, textOf } from './harness.js';

const setUp = engineMaker();

/** End tokens that come up often enough, and with which hypotheses of several lengths are found. */
const stopTokenIds = Array.from({ length: 12 }, (_, i) => 10 * i + 3);

function makeBeams(changes: Partial<BeamRequest> = {}): BeamRequest {
  const { tenant, prompt, ignoreEos, logprobs } = makeRequest();
  const common = { tenant, prompt, ignoreEos, logprobs, stopTokenIds };
  return { ...common, width: 3, lengthPenalty: 1, maxTokens: 8, ...changes };
}

/** The best tokens behind a prompt and what was generated, computed one by one on a runner of its own. */
async function computeBest({ prompt, prefix }: BeamRequest, ids: readonly number[], count: number) {
  const runner = new FakeRunner({ slots: 1 });
  const prefixIndex = prefix?.placement === 'infix' ? prompt.length - 1 : 0;
  let past = 0;
  let best: ScoredToken[] = [];
  for (const [i, token] of [...prompt, ...ids].entries()) {
    if (prefix && i === prefixIndex) {
      await runner.append(0, past, prefix.kv);
      past += prefix.kv.length;
    }
    const { topIds, topLogits, lse } = await runner.step({
      rows: [rowOf(token, past++)],
      topK: count,
    });
    best = Array.from(topIds, (id, rank) => ({ id, logprob: (topLogits[rank] ?? NaN) - (lse[0] ?? NaN), top: [] }));
  }
  return best;
}

interface Found {
  readonly ids: readonly number[];
  readonly score: number | undefined;
  readonly reason: string | undefined;
}

/** The search without an engine. */
async function searchAlone(request: BeamRequest): Promise<Found[]> {
  const { width, lengthPenalty, maxTokens } = request;
  const search = new BeamSearch({ width, lengthPenalty, maxTokens, endTokens: new Set(request.stopTokenIds) });
  const idsOf = (tokens: readonly ScoredToken[]): number[] => tokens.map(({ id }) => id);
  for (let beams: readonly number[][] = [[]]; beams.length > 0;) {
    const best = await Promise.all(beams.map((ids) => computeBest(request, ids, search.numContinuations)));
    beams = search.advance(best).map(({ tokens }) => idsOf(tokens));
  }
  return search.hypotheses.map(({ tokens, score, reason }) => ({ ids: idsOf(tokens), score, reason }));
}

async function collectOne(generation: Generation): Promise<Found> {
  const ids: number[] = [];
  for await (const event of generation) {
    if (event.type === 'token') ids.push(event.id);
    if (event.type === 'finish') return { ids, score: event.score, reason: event.reason };
  }
  throw new Error('a generation without an end');
}

const collectAll = (generations: readonly Generation[]): Promise<Found[]> => Promise.all(generations.map(collectOne));

const placements = [undefined, 'prefix', 'infix'] as const;

describe('a beam search', () => {
  const lengths = [1, 2, 10];
  const cases = placements.flatMap((placement) => lengths.map((length) => ({ placement, length })));

  test.each(cases)('finds what it would without an engine, %j', async ({ placement, length }) => {
    const prompt = Array.from({ length }, (_, i) => i + 7);
    const prefix = placement && { kv: makeFakeKv(6, 1), placement };
    for (const width of [1, 2, 4]) {
      for (const lengthPenalty of [0, 1]) {
        const request = makeBeams({ prompt, prefix, width, lengthPenalty });
        const expected = await searchAlone(request);
        for (const maxChunkTokens of [1, 4, 64]) {
          const { engine } = setUp({ slots: 4 }, { limits: { maxChunkTokens } });
          expect(await collectAll(engine.submitBeams(request))).toEqual(expected);
        }
      }
    }
  });

  test('ends its hypotheses with end tokens and without', async () => {
    const found = await searchAlone(makeBeams({ width: 4, maxTokens: 7 }));
    expect(new Set(found.map(({ reason }) => reason))).toEqual(new Set(['stop', 'length']));
    expect(new Set(found.map(({ ids }) => ids.length)).size).toBeGreaterThan(1);
  });

  test('is one of one token too', async () => {
    const request = makeBeams({ maxTokens: 1 });
    expect(await collectAll(setUp().engine.submitBeams(request))).toEqual(await searchAlone(request));
  });

  test('fills the context to its last position', async () => {
    const prefix = { kv: makeFakeKv(6, 1), placement: 'prefix' } as const;
    const request = makeBeams({ prompt: Array<number>(78).fill(1), prefix, maxTokens: 12, stopTokenIds: [] });
    const found = await collectAll(setUp().engine.submitBeams(request));
    expect(found).toEqual(await searchAlone(request));
    expect(found.every(({ ids }) => ids.length === 12)).toBe(true);
  });

  test('sends text without the end token, and log-probabilities with the best tokens of each place', async () => {
    const { engine } = setUp();
    const request = makeBeams({ logprobs: 2, promptLogprobs: 1, width: 4, maxTokens: 12 });
    const all = await Promise.all(engine.submitBeams(request).map((generation) => collect(generation)));
    const scored = await runAlone(makeRequest({ maxTokens: 0, promptLogprobs: 1 }));
    for (const { ids, text, prompt, tokens, reason } of all) {
      expect(prompt).toEqual(scored.prompt);
      expect(text).toBe(textOf(reason === 'stop' ? ids.slice(0, -1) : ids));
      const last = tokens.at(-1);
      const best = await computeBest(request, ids.slice(0, -1), 150);
      expect(last?.top).toEqual(best.slice(0, 2).map(({ id, logprob }) => ({ id, logprob })));
      expect(last?.logprob).toBe(best.find(({ id }) => id === last?.id)?.logprob);
    }
    expect(all.some(({ reason }) => reason === 'stop')).toBe(true);
  });

  test('computes its prompt once, and copies no slot whose beam goes on in it', async () => {
    const { engine, runner } = setUp({ slots: 6 });
    const copies: [from: number, to: number][] = [];
    const copySlot = runner.copySlot.bind(runner);
    runner.copySlot = (from, to, length, shared) => {
      copies.push([from, to]);
      return copySlot(from, to, length, shared);
    };
    await collectAll(engine.submitBeams(makeBeams({ width: 6, maxTokens: 2 })));
    expect(runner.steps.map(({ decode, chunk }) => [decode.length, chunk?.tokens.length])).toEqual([
      [0, 3],
      [6, undefined],
    ]);
    expect(copies).toEqual([1, 2, 3, 4, 5].map((to) => [0, to]));
  });
});

describe('a beam that goes on from another', () => {
  test('copies what the two do not have from the same ancestor', async () => {
    const { engine, runner } = setUp({ slots: 4 });
    const kv = makeFakeKv(5, 1);
    const copies: { length: number; shared: number }[] = [];
    const copySlot = runner.copySlot.bind(runner);
    runner.copySlot = (from, to, length, shared) => {
      copies.push({ length, shared: shared ?? 0 });
      return copySlot(from, to, length, shared);
    };
    const prompt = [20, 21, 22];
    await collectAll(
      engine.submitBeams(makeBeams({ width: 4, maxTokens: 12, prompt, prefix: { kv, placement: 'prefix' } })),
    );
    const later = copies.filter(({ shared }) => shared > 0);
    expect(copies.slice(0, 3).map(({ shared }) => shared)).toEqual([0, 0, 0]); // new slots have nothing yet
    expect(later.length).toBeGreaterThan(3);
    for (const { length, shared } of later) {
      expect(shared).toBeGreaterThanOrEqual(kv.length + prompt.length);
      expect(shared).toBeLessThan(length);
    }
  });
});

describe('beams and others', () => {
  test('leave each other as they are alone', async () => {
    for (const slots of [4, 5, 9]) {
      const { engine } = setUp({ slots }, { limits: { maxChunkTokens: 3 } });
      const searches = placements.flatMap((placement, i) =>
        [2, 4].map((width) => {
          const prefix = placement && { kv: makeFakeKv(5, i), placement };
          return makeBeams({ width, prefix, prompt: [20 + i, 21, 22, 23, 24], maxTokens: 10 });
        }),
      );
      const requests = Array.from({ length: 8 }, (_, choice) =>
        makeRequest({ prompt: Array.from({ length: 1 + (choice % 5) }, (_, i) => i), choice, sampling: sampled(3) }),
      );
      const runs = searches.map((request, i) => {
        const others = requests.slice(i, i + 2).map((other) => collect(engine.submit(other)));
        return { found: collectAll(engine.submitBeams(request)), others };
      });
      for (const [i, { found, others }] of runs.entries()) {
        expect(await found).toEqual(await searchAlone(searches[i]!));
        expect(await Promise.all(others)).toEqual(await Promise.all(requests.slice(i, i + 2).map(runAlone)));
      }
    }
  });

  test('a search waits until it can have all its slots, and those behind it wait too', async () => {
    const { engine, runner } = setUp({ slots: 4 });
    const order: string[] = [];
    const note = async (name: string, end: Promise<unknown>): Promise<void> => {
      await end;
      order.push(name);
    };
    const all = [
      note('short', collect(engine.submit(makeRequest({ prompt: [1], maxTokens: 3 })))),
      note('long', collect(engine.submit(makeRequest({ prompt: [2], maxTokens: 9 })))),
      note('beams', collectAll(engine.submitBeams(makeBeams({ width: 4, maxTokens: 5, stopTokenIds: [] })))),
      note('behind', collect(engine.submit(makeRequest({ prompt: [3], maxTokens: 1 })))),
    ];
    await Promise.all(all);
    expect(order).toEqual(['short', 'long', 'beams', 'behind']);
    const widths = runner.steps.map(({ decode, chunk }) => decode.length + (chunk ? 1 : 0));
    expect(widths).toEqual([2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 4, 4, 4, 4, 1]);
  });

  test('nobody takes the slots that are kept while the prompt is computed', async () => {
    const { engine, runner } = setUp({ slots: 4 }, { limits: { maxChunkTokens: 2 } });
    const beams = collectAll(
      engine.submitBeams(makeBeams({ prompt: Array<number>(9).fill(4), maxTokens: 3, stopTokenIds: [] })),
    );
    const others = [1, 2, 3].map((token) => collect(engine.submit(makeRequest({ prompt: [token], maxTokens: 4 }))));
    await Promise.all([beams, ...others]);
    const prefill = runner.steps.filter(({ chunk }) => chunk);
    expect(prefill.map(({ decode }) => decode.length)).toEqual([1, 1, 1, 1]);
    expect(Math.max(...runner.steps.map(({ decode }) => decode.length))).toBe(4);
  });

  test('searches with the same prompt in one submission share it', async () => {
    const { engine, runner } = setUp({ slots: 6 });
    const request = makeBeams({
      prompt: Array<number>(9).fill(4),
      stopTokenIds: [],
      promptGroup: Symbol('prompt group'),
    });
    const [one, other] = await Promise.all([request, request].map((each) => collectAll(engine.submitBeams(each))));
    expect(one).toEqual(await searchAlone(request));
    expect(other).toEqual(one);
    expect(runner.steps.flatMap(({ chunk }) => chunk?.tokens.length ?? [])).toEqual([9]);
  });

  test('and its scores, whichever beam it is copied from', async () => {
    const { engine, runner } = setUp({ slots: 6 });
    const prompt = Array.from({ length: 9 }, (_, i) => i);
    const request = makeBeams({ prompt, stopTokenIds: [], promptGroup: Symbol('prompt group'), promptLogprobs: 1 });
    // When this one leaves the first slot, the last beam moves there: the next search waits for that, and copies from it.
    const first = collect(engine.submit(makeRequest({ prompt: [1], maxTokens: 2 })));
    const searches = [request, request].map((each) => engine.submitBeams(each));
    const all = await Promise.all(searches.flat().map((generation) => collect(generation)));
    const scored = await runAlone(makeRequest({ prompt, maxTokens: 0, promptLogprobs: 1 }));
    expect(scored.prompt).toHaveLength(8);
    for (const hypothesis of all) expect(hypothesis.prompt).toEqual(scored.prompt);
    expect(runner.steps.filter(({ chunk }) => chunk)).toHaveLength(1);
    await first;
  });

  test.each(['interactive', 'background'] as const)(
    'come, go and are cancelled at any time, as %s work',
    async (priority) => {
      let state = 7;
      const random = (below: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
      };
      const { engine } = setUp({ slots: 5 }, { limits: { maxChunkTokens: 4 } });
      const runs = [];
      for (let i = 0; i < 60; i++) {
        const placement = placements[random(3)];
        const prompt = Array.from({ length: 1 + random(12) }, () => random(150));
        const prefix = placement && { kv: makeFakeKv(1 + random(6), random(5)), placement };
        const single = collect(engine.submit(makeRequest({ prompt, prefix, choice: i, sampling: sampled(2) })));
        const request = makeBeams({ prompt, prefix, width: 1 + random(5), maxTokens: 1 + random(10), priority });
        const generations = engine.submitBeams(request);
        const isCancelled = random(3) === 0;
        runs.push({ request, found: collectAll(generations), single, isCancelled, prompt, prefix, choice: i });
        for (let wait = random(isCancelled ? 40 : 3); wait > 0; wait--) await setImmediate();
        if (isCancelled) generations[random(request.width)]?.cancel();
        engine.checkIntegrity();
      }
      for (const { request, found, single, isCancelled, prompt, prefix, choice } of runs) {
        const hypotheses = await found;
        const isAborted = hypotheses.some(({ reason }) => reason === 'abort');
        if (isAborted) expect(hypotheses.every(({ ids, reason }) => ids.length === 0 && reason === 'abort')).toBe(true);
        else expect(hypotheses).toEqual(await searchAlone(request));
        expect(isAborted && !isCancelled).toBe(false);
        expect(await single).toEqual(await runAlone(makeRequest({ prompt, prefix, choice, sampling: sampled(2) })));
      }
      expect(runs.filter(({ isCancelled }) => isCancelled).length).toBeGreaterThan(5);
    },
  );
});

describe('cancelling one hypothesis cancels the search', () => {
  const abort = { ids: [], reason: 'abort', score: undefined };

  test('while it waits', async () => {
    const { engine } = setUp();
    const running = collect(engine.submit(makeRequest({ maxTokens: 20 })));
    const generations = engine.submitBeams(makeBeams({ width: 4 }));
    await setImmediate();
    await setImmediate();
    expect(engine.stats()).toMatchObject({ waiting: 1, waitingTokens: 3 + 4 * 8, running: 1 });
    generations[3]?.cancel();
    expect(engine.stats()).toMatchObject({ waiting: 0, waitingTokens: 0 });
    expect(await collectAll(generations)).toEqual([abort, abort, abort, abort]);
    await running;
  });

  test.each([
    ['in the middle of its prompt', 2],
    ['when its first token is computed', 5],
    ['in the middle of the search', 7],
  ])('%s; its slots are free by the next step', async (_, after) => {
    const { engine, runner } = setUp({ slots: 3 }, { limits: { maxChunkTokens: 2 } });
    const beams = engine.submitBeams(makeBeams({ prompt: Array<number>(10).fill(1), maxTokens: 40, stopTokenIds: [] }));
    const next = [1, 2, 3].map((token) => collect(engine.submit(makeRequest({ prompt: [token], maxTokens: 2 }))));
    runner.beforeStep = () => {
      if (runner.steps.length === after) beams[1]?.cancel();
    };
    expect(await collectAll(beams)).toEqual([abort, abort, abort]);
    await Promise.all(next);
    expect(runner.steps.slice(after).map(({ decode }) => decode.map(({ past }) => past))).toEqual([
      [0, 0, 0],
      [1, 1, 1],
    ]);
  });
});

describe('a runner that fails', () => {
  test.each(['step', 'copySlot'] as const)('in %s fails every hypothesis, and the engine goes on', async (method) => {
    const { engine, runner } = setUp({ slots: 3 });
    const { [method]: original } = { step: runner.step.bind(runner), copySlot: runner.copySlot.bind(runner) };
    Object.assign(runner, { [method]: () => Promise.reject(new Error('broken')) });
    const generations = engine.submitBeams(makeBeams());
    const waiting = engine.submitBeams(makeBeams());
    const results = await Promise.allSettled(generations.map(collectOne));
    Object.assign(runner, { [method]: original });
    for (const result of results) expect(result).toMatchObject({ reason: { code: 'runner_failed' } });
    expect(results).toHaveLength(3);
    expect(await collectAll(waiting)).toEqual(await searchAlone(makeBeams()));
  });
});

describe('limits', () => {
  test.each([
    ['more beams than slots', { width: 5 }],
    ['no beam', { width: 0 }],
    ['no token', { maxTokens: 0 }],
    ['more beams than tokens that do not end', { width: 4, stopTokenIds: Array.from({ length: 147 }, (_, id) => id) }],
  ])('refuses %s', (_, changes) => {
    expect(codeOf(() => setUp({ slots: 4 }).engine.submitBeams(makeBeams(changes)))).toBe('invalid_beams');
  });

  test('refuses what no sequence may be, and names the limit of the width', () => {
    const { engine } = setUp({ slots: 4 });
    expect(codeOf(() => engine.submitBeams(makeBeams({ prompt: [] })))).toBe('invalid_prompt');
    expect(codeOf(() => engine.submitBeams(makeBeams({ maxTokens: 94 })))).toBe('context_length_exceeded');
    expect(() => engine.submitBeams(makeBeams({ width: 5 }))).toThrow('1 to 4');
  });

  test('counts all beams’ tokens in the queue', async () => {
    const { engine } = setUp({ slots: 3 }, { limits: { maxWaitingTokens: 3 + 3 * 8 } });
    const first = collectAll(engine.submitBeams(makeBeams()));
    const running = collect(engine.submit(makeRequest()));
    await setImmediate();
    expect(codeOf(() => engine.submitBeams(makeBeams({ width: 2, maxTokens: 8 })))).toBe('queue_full');
    await Promise.all([first, running]);
  });

  test('draining finishes accepted searches and refuses others', async () => {
    const { engine } = setUp({ slots: 3 });
    const accepted = [makeBeams(), makeBeams()].map((request) => collectAll(engine.submitBeams(request)));
    const drained = engine.drain();
    expect(codeOf(() => engine.submitBeams(makeBeams()))).toBe('shutting_down');
    await drained;
    for (const found of await Promise.all(accepted)) expect(found).toEqual(await searchAlone(makeBeams()));
  });
});
