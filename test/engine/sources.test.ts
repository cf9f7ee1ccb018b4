import { setImmediate } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { BeamSearch } from '../../src/engine/beams/beam-search.js';
import type { BeamRequest, Generation, GenerationRequest, ScoredToken } from '../../src/engine/request.js';
import { FakeRunner, makeFakeSourceKv } from './fake-runner.js';
import type { FakeSources } from './fake-sources.js';
import { codeOf, collect, type Collected, engineMaker, makeEngine, makeRequest, sampled } from './harness.js';

const setUp = engineMaker();
const fake = { sourceLength: 40, slots: 4 };

/** A request behind one start token. */
function makeSourceRequest(changes: Partial<GenerationRequest> = {}): GenerationRequest {
  return makeRequest({ source: [5, 6, 7, 8, 9], prompt: [2], ...changes });
}

function makeBeams(changes: Partial<BeamRequest> = {}): BeamRequest {
  const { tenant, source, prompt, ignoreEos, logprobs } = makeSourceRequest();
  const stopTokenIds = Array.from({ length: 12 }, (_, i) => 10 * i + 3);
  return {
    ...{ tenant, source, prompt, ignoreEos, logprobs, stopTokenIds },
    ...{ width: 3, lengthPenalty: 1, maxTokens: 8 },
    ...changes,
  };
}

function sourcesOf({ sources }: FakeRunner): FakeSources {
  if (sources === undefined) throw new Error('a fake without an encoder');
  return sources;
}

function runAlone(request: GenerationRequest): Promise<Collected> {
  return collect(makeEngine({ ...fake, slots: 1 }).engine.submit(request));
}

/** Best tokens behind a target, computed on a runner of its own. */
async function computeBest({ source = [], prompt, prefix }: GenerationRequest, ids: readonly number[], count: number) {
  const runner = new FakeRunner({ ...fake, slots: 1 });
  const encoding = sourcesOf(runner).begin(0, source, prefix?.kv);
  while (!(await encoding.advance(3)));
  const { length = 0, shift = 0 } = prefix?.kv ?? {};
  if (prefix && length > 0) await runner.append(0, 0, prefix.kv);
  let best: ScoredToken[] = [];
  for (const [i, token] of [...prompt, ...ids].entries()) {
    const span = {
      slot: 0,
      source: 0,
      tokens: [token],
      past: length + i,
      position: shift + i,
      temperature: 1,
    } as const;
    const { topIds, topLogits, lse } = await runner.step({ rows: [{ ...span, logits: 'last' }], topK: count });
    best = Array.from(topIds, (id, rank) => ({ id, logprob: (topLogits[rank] ?? NaN) - (lse[0] ?? NaN), top: [] }));
  }
  return best;
}

async function searchAlone(request: BeamRequest) {
  const { width, lengthPenalty, maxTokens, stopTokenIds } = request;
  const search = new BeamSearch({ width, lengthPenalty, maxTokens, endTokens: new Set(stopTokenIds) });
  for (let beams: readonly number[][] = [[]]; beams.length > 0;) {
    const each = beams.map((ids) => computeBest(makeSourceRequest(asSequence(request)), ids, search.numContinuations));
    beams = search.advance(await Promise.all(each)).map(({ tokens }) => tokens.map(({ id }) => id));
  }
  return search.hypotheses.map(({ tokens, reason }) => ({ ids: tokens.map(({ id }) => id), reason }));
}

const asSequence = ({ source, prompt, prefix }: BeamRequest): Partial<GenerationRequest> => ({
  source,
  prompt,
  prefix,
});

const collectBeams = async (generations: readonly Generation[]) => {
  const all = await Promise.all(generations.map((generation) => collect(generation)));
  return all.map(({ ids, reason }) => ({ ids, reason }));
};

describe('a sequence with a source', () => {
  const prefixes = [
    {},
    { encoder: 3, decoder: 5, cross: 2 },
    { decoder: 4, shift: 4 },
    { cross: 6 },
    { embeddings: 3 },
  ];

  test.each(prefixes)('gives what steps on a runner give, prefix %j', async (lengths) => {
    const prefix = { kv: makeFakeSourceKv(lengths, 1), placement: 'prefix' } as const;
    for (const prompt of [[2], [2, 9, 4]]) {
      const request = makeSourceRequest({ prefix, prompt });
      const expected: number[] = [];
      while (expected.length < 8) expected.push((await computeBest(request, expected, 1))[0]?.id ?? -1);
      for (const maxChunkTokens of [1, 64]) {
        const { engine } = setUp(fake, { limits: { maxChunkTokens } });
        expect((await collect(engine.submit(request))).ids).toEqual(expected);
      }
    }
  });

  test('is encoded layer by layer alone, and in short pieces beside rows', async () => {
    const { engine, runner } = setUp(fake, { limits: { maxSourceTokens: 2 } });
    const sources = sourcesOf(runner);
    const first = collect(engine.submit(makeSourceRequest({ maxTokens: 12 })));
    while (runner.steps.length < 2) await setImmediate();
    expect(sources.pieces).toEqual([40, 40]);
    await Promise.all([first, collect(engine.submit(makeSourceRequest({ source: [1, 2, 3, 4] })))]);
    expect(sources.pieces.slice(2)).toEqual([2, 2, 2, 2]);
  });

  test('tells the observer of pieces, and of the source as the prompt', async () => {
    const steps: unknown[] = [];
    const ends: number[] = [];
    const observer = {
      admitted: () => undefined,
      promptLookedUp: () => undefined,
      stepped: ({ kind, rows, chunkTokens }: { kind: string; rows: number; chunkTokens: number }) =>
        steps.push([kind, rows, chunkTokens]),
      firstToken: () => undefined,
      nextToken: () => undefined,
      verified: () => undefined,
      ended: ({ promptTokens }: { promptTokens: number }) => ends.push(promptTokens),
    };
    const { engine } = setUp(fake, { observer, limits: { promptCacheBytes: 1e6 } });
    await collect(engine.submit(makeSourceRequest({ maxTokens: 2 })));
    expect(steps).toEqual([
      ['encode', 0, 0],
      ['encode', 0, 5],
      ['decode', 1, 0],
      ['decode', 1, 0],
    ]);
    expect(ends).toEqual([5]);
  });

  test('choices of one prompt group share one source slot; others have their own', async () => {
    const { engine, runner } = setUp(fake);
    const promptGroup = Symbol('prompt group');
    const requests = [0, 1, 2].map((choice) => makeSourceRequest({ promptGroup, choice, sampling: sampled(4) }));
    const other = makeSourceRequest();
    const runs = [...requests, other].map((request) => collect(engine.submit(request)));
    let used = 0;
    runner.beforeStep = ({ rows }) => {
      engine.checkIntegrity();
      if (rows.length === 4) {
        expect(rows.map(({ source }) => source)).toEqual([0, 0, 0, 1]);
        used = engine.stats().kvUsage;
      }
    };
    expect(await Promise.all(runs)).toEqual(await Promise.all([...requests, other].map(runAlone)));
    expect(sourcesOf(runner).numBegun).toBe(2);
    expect(used).toBeGreaterThan((2 * 5) / (4 * (96 + 40)));
    expect(used).toBeLessThan((2 * 5 + 4 * 9) / (4 * (96 + 40)));
  });

  test('that is cancelled while it is encoded gives its source slot up, and others go on', async () => {
    const { engine, runner } = setUp(fake);
    const sources = sourcesOf(runner);
    const generation = engine.submit(makeSourceRequest());
    const next = collect(engine.submit(makeSourceRequest({ source: [3, 3] })));
    sources.beforePiece = () => {
      if (sources.pieces.length === 1) generation.cancel();
    };
    expect(await collect(generation)).toMatchObject({ ids: [], reason: 'abort' });
    expect(await next).toEqual(await runAlone(makeSourceRequest({ source: [3, 3] })));
    expect(sources.numBegun).toBe(2);
    expect(sources.numOpen).toBe(0);
  });

  test('fails with a piece that fails, and the engine goes on', async () => {
    const { engine, runner } = setUp(fake);
    const sources = sourcesOf(runner);
    sources.beforePiece = () => {
      if (sources.pieces.length === 2) throw new Error('broken');
    };
    await expect(collect(engine.submit(makeSourceRequest()))).rejects.toMatchObject({ code: 'runner_failed' });
    expect(sources.numOpen).toBe(0);
    expect(await collect(engine.submit(makeSourceRequest()))).toEqual(await runAlone(makeSourceRequest()));
  });

  test.each([
    ['no source', { source: undefined }, 'invalid_prompt'],
    ['an empty source', { source: [] }, 'invalid_prompt'],
    ['a token outside the vocabulary', { source: [150] }, 'invalid_prompt'],
    ['a forced token outside the vocabulary', { forcedFirstToken: 150 }, 'invalid_prompt'],
    ['a long source', { source: Array<number>(41).fill(1) }, 'context_length_exceeded'],
    [
      'a source that embeddings make too long',
      {
        source: Array<number>(38).fill(1),
        prefix: { kv: makeFakeSourceKv({ embeddings: 3 }, 1), placement: 'prefix' as const },
      },
      'context_length_exceeded',
    ],
    ['a long target', { maxTokens: 96 }, 'context_length_exceeded'],
  ])('is refused with %s', (_, changes, code) => {
    const { engine } = setUp(fake);
    expect(codeOf(() => engine.submit(makeSourceRequest(changes)))).toBe(code);
  });

  test('is refused by a model without an encoder', () => {
    expect(codeOf(() => setUp().engine.submit(makeSourceRequest()))).toBe('invalid_prompt');
  });

  test('virtual tokens that are not counted leave the whole context to the target', async () => {
    const prefix = { kv: makeFakeSourceKv({ decoder: 40 }, 1), placement: 'prefix' } as const;
    const { ids } = await collect(setUp(fake).engine.submit(makeSourceRequest({ prefix, maxTokens: 95 })));
    expect(ids).toHaveLength(95);
  });
});

describe('sources and others', () => {
  test.each(['interactive', 'background'] as const)(
    'come, go, are cancelled and preempted at any time: the same tokens as alone, beams as %s work',
    async (priority) => {
      let state = 5;
      const random = (below: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
      };
      const { engine, runner } = setUp({ ...fake, slots: 5 }, { limits: { maxChunkTokens: 2, maxSourceTokens: 3 } });
      const runs = [];
      for (let i = 0; i < 40; i++) {
        const source = Array.from({ length: 1 + random(20) }, () => random(150));
        const lengths = { encoder: random(3), decoder: random(4), cross: random(3) };
        const prefix = { kv: makeFakeSourceKv(lengths, random(5)), placement: 'prefix' } as const;
        const prompt = random(3) === 0 ? [2, 7] : [2];
        const common = { source, prompt, prefix: random(3) === 0 ? undefined : prefix };
        const promptGroup = Symbol('prompt group');
        const isBackground = priority === 'background' || random(3) === 0;
        const choices = Array.from({ length: 1 + random(3) }, (_, choice) =>
          makeSourceRequest({
            ...{ ...common, promptGroup, choice, sampling: sampled(i), noRepeatNgramSize: random(3) },
            ...{ maxTokens: 1 + random(8), priority: isBackground ? 'background' : 'interactive' },
          }),
        );
        const beams = makeBeams({ ...common, width: 1 + random(5), maxTokens: 1 + random(8), priority });
        const isCancelled = random(3) === 0;
        const generations = choices.map((request) => engine.submit(request));
        const hypotheses = engine.submitBeams(beams);
        const run = { singles: Promise.all(generations.map((each) => collect(each))), found: collectBeams(hypotheses) };
        runs.push({ ...run, choices, beams, isCancelled });
        for (let wait = random(isCancelled ? 30 : 3); wait > 0; wait--) await setImmediate();
        if (isCancelled) generations[0]?.cancel();
        if (isCancelled) hypotheses[0]?.cancel();
        engine.checkIntegrity();
      }
      for (const { singles, found, choices, beams, isCancelled } of runs) {
        for (const [i, single] of (await singles).entries()) {
          if (single.reason === 'abort') expect(isCancelled && i === 0).toBe(true);
          else expect(single).toEqual(await runAlone(choices[i] ?? makeSourceRequest()));
        }
        const hypotheses = await found;
        if (hypotheses[0]?.reason === 'abort') expect(isCancelled).toBe(true);
        else expect(hypotheses).toEqual(await searchAlone(beams));
      }
      await engine.idle();
      expect(sourcesOf(runner).numOpen).toBe(0);
    },
  );

  test('a preempted sequence is encoded anew, or shares what another of its group has', async () => {
    const { engine, runner } = setUp({ ...fake, slots: 3 });
    const promptGroup = Symbol('prompt group');
    const requests = [0, 1].map((choice) =>
      makeSourceRequest({ promptGroup, choice, priority: 'background', maxTokens: 20, sampling: sampled(1) }),
    );
    const runs = requests.map((request) => collect(engine.submit(request)));
    while (runner.steps.length < 5) await setImmediate();
    const urgent = [1, 2].map((token) => makeSourceRequest({ source: [token, 4], maxTokens: 3 }));
    await Promise.all(urgent.map((request) => collect(engine.submit(request))));
    expect(await Promise.all(runs)).toEqual(await Promise.all(requests.map(runAlone)));
    expect(sourcesOf(runner).numBegun).toBe(3);
  });
});
