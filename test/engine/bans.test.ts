import { describe, expect, test } from 'vitest';

import { BeamSearch } from '../../src/engine/beams/beam-search.js';
import type { BeamRequest, EarlyStopping, ScoredToken } from '../../src/engine/request.js';
import { bannedTokens, forcedToken } from '../../src/engine/sampling/bans.js';
import { FakeRunner, rowOf } from './fake-runner.js';
import { collect, engineMaker, makeRequest, sampled } from './harness.js';

const setUp = engineMaker();

const history = (tokens: readonly number[], noRepeatNgramSize: number) => ({
  tokens,
  numGeneratedTokens: 0,
  endTokens: new Set<number>(),
  request: { minTokens: 0, maxTokens: 8, noRepeatNgramSize },
});

/** Log-probabilities of the whole vocabulary behind some tokens. */
async function logprobsOf(tokens: readonly number[]): Promise<number[]> {
  const runner = new FakeRunner({ slots: 1 });
  for (const [past, token] of tokens.slice(0, -1).entries()) await runner.step({ rows: [rowOf(token, past)], topK: 1 });
  const output = await runner.step({ rows: [rowOf(tokens.at(-1) ?? 0, tokens.length - 1)], topK: 1 });
  return [...output.logits(0)].map((logit) => logit - (output.lse[0] ?? NaN));
}

describe('last tokens of bad words', () => {
  const words = [[7], [1, 2], [1, 2, 3], [9, 9, 5]];

  test.each([
    [[4], 1, [7]],
    [[4, 1], 1, [2, 7]],
    [[4, 1, 2], 2, [3, 7]],
    [[1, 2], 1, [7]],
    [[1], 0, [7]],
    [[9, 9], 2, [5, 7]],
  ])('behind %j, of which %i are generated, are %j', (tokens, numGeneratedTokens, expected) => {
    const { endTokens } = history([], 0);
    const request = { minTokens: 0, maxTokens: 8, badWords: words };
    expect([...bannedTokens({ tokens, numGeneratedTokens, endTokens, request })].sort()).toEqual(expected);
  });

  test('are not generated, whether the best token is taken, one is drawn or a beam search goes on', async () => {
    const { engine } = setUp({ slots: 4 });
    const plain = (await collect(engine.submit(makeRequest()))).ids;
    const badWords = [[plain[0] ?? -1], plain.slice(2, 4)];
    const { ids } = await collect(engine.submit(makeRequest({ badWords })));
    expect(ids).not.toContain(plain[0]);
    for (let seed = 0; seed < 8; seed++) {
      const drawn = await collect(engine.submit(makeRequest({ badWords, sampling: sampled(seed) })));
      expect(drawn.ids).not.toContain(plain[0]);
    }
    const { sampling: _, choice: __, stop: ___, ...rest } = makeRequest({ badWords });
    const beams = engine.submitBeams({ ...rest, width: 3, lengthPenalty: 1 });
    for (const beam of await Promise.all(beams.map((one) => collect(one)))) expect(beam.ids).not.toContain(plain[0]);
  });
});

describe('tokens that would repeat an n-gram', () => {
  test.each([
    [[1, 2, 3, 1, 2], 3, [3]],
    [[1, 2, 3, 1, 2], 2, [3]],
    [[1, 2, 1, 3, 1], 2, [2, 3]],
    [[4, 4, 4], 2, [4]],
    [[4, 4], 3, []],
    [[4, 4, 4], 3, [4]],
    [[1, 2, 3], 1, [1, 2, 3]],
    [[1, 2], 3, []],
    [[1, 2, 3], 4, []],
    [[1, 2, 3], 0, []],
  ])('behind %j in runs of %i are %j', (tokens, size, expected) => {
    expect([...bannedTokens(history(tokens, size))].sort()).toEqual(expected);
  });

  test('end tokens are banned with them before the fewest tokens', () => {
    const of = (numGeneratedTokens: number): number[] => {
      const request = { minTokens: 2, maxTokens: 8, noRepeatNgramSize: 2 };
      return [...bannedTokens({ tokens: [4, 4], numGeneratedTokens, endTokens: new Set([9]), request })];
    };
    expect(of(1)).toEqual([9, 4]);
    expect(of(2)).toEqual([4]);
  });

  test.each([0, 1])(
    'are never generated, at temperature %i, and what is generated is the best of the rest',
    async (temperature) => {
      const request = makeRequest({ maxTokens: 40, sampling: sampled(3, temperature), noRepeatNgramSize: 1 });
      const { ids } = await collect(setUp().engine.submit(request));
      expect(new Set([...request.prompt, ...ids]).size).toBe(43);
      for (const [i, id] of ids.entries()) {
        if (temperature > 0) continue;
        const before = [...request.prompt, ...ids.slice(0, i)];
        const logprobs = (await logprobsOf(before)).map((logprob, other) =>
          before.includes(other) ? -Infinity : logprob,
        );
        expect(id).toBe(logprobs.indexOf(Math.max(...logprobs)));
      }
    },
  );
});

describe('a forced token', () => {
  test('is the first, or the last, whatever is banned; where both are one, the last', () => {
    const of = (numGeneratedTokens: number, maxTokens: number): number | undefined => {
      const request = { minTokens: 9, maxTokens, forcedFirstToken: 0, forcedLastToken: 5 };
      return forcedToken({ tokens: [5, 0], numGeneratedTokens, endTokens: new Set([5]), request });
    };
    expect([of(0, 3), of(1, 3), of(2, 3), of(0, 1)]).toEqual([0, undefined, 5, 5]);
  });

  test('is certain, and ends the sequence where it is an end token', async () => {
    const request = makeRequest({
      forcedFirstToken: 7,
      forcedLastToken: 0,
      maxTokens: 3,
      ignoreEos: false,
      logprobs: 2,
    });
    const { tokens, reason } = await collect(setUp().engine.submit(request));
    expect(tokens.map(({ id }) => id)).toEqual([7, expect.any(Number), 0]);
    expect(tokens[0]).toMatchObject({ logprob: 0, top: [{ id: 7, logprob: 0 }] });
    expect(tokens[1]?.top).toHaveLength(2);
    expect(reason).toBe('stop');
  });
});

describe('a beam search', () => {
  /** Every beam with the whole vocabulary behind it, as Transformers ranks them. */
  async function searchWhole(request: BeamRequest) {
    const { width, lengthPenalty, earlyStopping, maxTokens, stopTokenIds, prompt, minTokens = 0 } = request;
    const endTokens = new Set(stopTokenIds);
    const search = new BeamSearch({ width, lengthPenalty, earlyStopping, maxTokens, endTokens });
    for (let beams: readonly number[][] = [[]]; beams.length > 0;) {
      const each = beams.map(async (ids): Promise<ScoredToken[]> => {
        const state = { tokens: [...prompt, ...ids], numGeneratedTokens: ids.length, endTokens };
        const forced = forcedToken({ ...state, request: { ...request, minTokens } });
        const banned = bannedTokens({ ...state, request: { ...request, minTokens } });
        const scored = (await logprobsOf(state.tokens)).map((logprob, id) => ({ id, logprob, top: [] }));
        if (forced !== undefined) return [{ id: forced, logprob: 0, top: [] }];
        return scored.filter(({ id }) => !banned.has(id)).sort((a, b) => b.logprob - a.logprob || a.id - b.id);
      });
      beams = search.advance(await Promise.all(each)).map(({ tokens }) => tokens.map(({ id }) => id));
    }
    return search.hypotheses.map(({ tokens, score }) => ({ ids: tokens.map(({ id }) => id), score }));
  }

  const base: BeamRequest = {
    ...{ tenant: 'tenant', prompt: [1, 2, 3], ignoreEos: true, logprobs: undefined, width: 4, lengthPenalty: 1 },
    ...{ maxTokens: 7, stopTokenIds: Array.from({ length: 12 }, (_, i) => 10 * i + 3) },
  };

  test.each<Partial<BeamRequest>>([
    { noRepeatNgramSize: 1 },
    { minTokens: 4 },
    { minTokens: 4, noRepeatNgramSize: 1, earlyStopping: true },
    { forcedFirstToken: 7 },
    { forcedFirstToken: 7, forcedLastToken: 3, noRepeatNgramSize: 1, earlyStopping: 'never' },
  ])('with %j finds the best of what is allowed', async (changes) => {
    const request = { ...base, ...changes };
    const expected = await searchWhole(request);
    const found = await Promise.all(
      setUp({ slots: 5 })
        .engine.submitBeams(request)
        .map(async (generation) => {
          const ids: number[] = [];
          for await (const event of generation) {
            if (event.type === 'token') ids.push(event.id);
            if (event.type === 'finish') return { ids, score: event.score };
          }
          throw new Error('a generation without an end');
        }),
    );
    expect(found.map(({ ids }) => ids)).toEqual(expected.map(({ ids }) => ids));
    found.forEach(({ score }, i) => expect(score).toBeCloseTo(expected[i]?.score ?? NaN, 4));
    for (const { ids } of found) {
      if (changes.minTokens) expect(ids.length).toBeGreaterThan(changes.minTokens);
      if (changes.forcedFirstToken !== undefined) expect(ids[0]).toBe(changes.forcedFirstToken);
    }
  });

  test('that a forced token ends at once sends it from every beam', async () => {
    const generations = setUp().engine.submitBeams({ ...base, forcedFirstToken: 3 });
    const all = await Promise.all(generations.map((generation) => collect(generation)));
    expect(all.map(({ ids, reason }) => [ids, reason])).toEqual(Array(4).fill([[3], 'stop']));
  });

  test.each<[EarlyStopping, number]>([
    [true, 2],
    [false, 3],
    ['never', 4],
  ])('with early stopping %j ends after %i steps', (earlyStopping, steps) => {
    // There are two hypotheses from the second step on. The third leaves hope only if the search may grow long, the fourth none.
    const search = new BeamSearch({ width: 2, lengthPenalty: 1, earlyStopping, maxTokens: 9, endTokens: new Set([0]) });
    const token = (id: number, logprob: number): ScoredToken => ({ id, logprob, top: [] });
    const unlikely = [token(1, -9), token(2, -9), token(3, -9)];
    const all = [
      [[token(1, -0.5), token(0, -1), token(2, -1.2)]],
      [[token(0, -0.6), token(1, -0.7), token(2, -9)], unlikely],
      [[token(1, -2), token(2, -9), token(3, -9)], unlikely],
      [
        [token(1, -99), token(2, -99), token(3, -99)],
        [token(1, -99), token(2, -99), token(3, -99)],
      ],
    ];
    let count = 0;
    while (search.advance(all[count++] ?? []).length > 0);
    expect(count).toBe(steps);
  });
});
