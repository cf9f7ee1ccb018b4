import { describe, expect, test } from 'vitest';

import { BeamSearch, type BeamOptions, type Hypothesis } from '../../src/engine/beams/beam-search.js';
import type { ScoredToken } from '../../src/engine/request.js';
import { mix } from './mix.js';

/** Log-probabilities of all tokens behind some. */
type Model = (tokens: readonly number[]) => readonly number[];

const toLogprobs = (weights: readonly number[]): number[] => {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => Math.log(weight / total));
};

/** A model that the seed decides. */
function makeModel(seed: number, vocabulary: number): Model {
  return (tokens) => {
    const state = tokens.reduce(mix, seed);
    return toLogprobs(Array.from({ length: vocabulary }, (_, id) => Math.exp(3 * (mix(state, id) / 2 ** 32))));
  };
}

/** A model of a table: tokens behind others, joined, to probabilities; the rest is shared by the tokens left out. */
function tabulate(vocabulary: number, table: Record<string, Record<number, number>>): Model {
  return (tokens) => {
    const row = table[tokens.join(' ')] ?? {};
    const given = Object.values(row).reduce((sum, probability) => sum + probability, 0);
    const rest = (1 - given) / (vocabulary - Object.keys(row).length);
    return Array.from({ length: vocabulary }, (_, id) => Math.log(row[id] ?? rest));
  };
}

const idsOf = (tokens: readonly ScoredToken[]): number[] => tokens.map(({ id }) => id);

function run(model: Model, options: BeamOptions): readonly Hypothesis[] {
  const search = new BeamSearch(options);
  const best = (tokens: readonly number[]): ScoredToken[] =>
    model(tokens)
      .map((logprob, id) => ({ id, logprob, top: [] }))
      .sort((a, b) => b.logprob - a.logprob)
      .slice(0, search.numContinuations);
  for (let beams: readonly number[][] = [[]]; beams.length > 0;) {
    const next = search.advance(beams.map(best));
    for (const { parent, tokens } of next) expect(idsOf(tokens).slice(0, -1)).toEqual(beams[parent]);
    beams = next.map(({ tokens }) => idsOf(tokens));
    expect([0, options.width]).toContain(beams.length);
  }
  return search.hypotheses;
}

interface Row {
  readonly ids: readonly number[];
  readonly score: number;
  readonly isFinished: boolean;
}

const topOf = <T>(values: readonly T[], key: (value: T) => number, count: number): T[] =>
  values.toSorted((a, b) => key(b) - key(a)).slice(0, count);

/** Transformers' `_beam_search`, line by line on whole distributions, -1e9 for impossible and all. */
function reference(model: Model, { width, lengthPenalty, maxTokens, endTokens }: BeamOptions): Row[] {
  const keep = Math.max(2, 1 + endTokens.size) * width;
  let running: Row[] = Array.from({ length: width }, (_, i) => ({ ids: [], score: i ? -1e9 : 0, isFinished: false }));
  let finished: Row[] = Array.from({ length: width }, () => ({ ids: [], score: -1e9, isFinished: false }));
  for (let length = 0; ;) {
    const all = running.flatMap(({ ids, score }) =>
      model(ids).map((logprob, id) => ({ ids: [...ids, id], score: score + logprob, isFinished: false })),
    );
    const top = topOf(all, ({ score }) => score, keep);
    const hits = top.map(({ ids }) => endTokens.has(ids.at(-1) ?? -1) || ids.length >= maxTokens);
    const demoted = top.map((row, i) => ({ ...row, score: row.score - (hits[i] ? 1e9 : 0) }));
    running = topOf(demoted, ({ score }) => score, width);
    const ended = top.map(({ ids, score }, i) => {
      const isFinished = hits[i] === true && i < width;
      return { ids, score: score / (length + 1) ** lengthPenalty - (isFinished ? 0 : 1e9), isFinished };
    });
    finished = topOf([...finished, ...ended], ({ score }) => score, width);
    length++;
    const possible = (running[0]?.score ?? NaN) / length ** lengthPenalty;
    const worst = Math.min(...finished.map(({ score }) => score));
    const canImprove = finished.some(({ isFinished }) => possible > (isFinished ? worst : -1e9));
    if (!canImprove || hits.every(Boolean)) return finished;
  }
}

describe('beam search', () => {
  const widths = [1, 2, 3, 5];
  const penalties = [-1, 0, 0.7, 1, 2];
  const cases = widths.flatMap((width) => penalties.map((lengthPenalty) => ({ width, lengthPenalty })));

  test.each(cases)('is that of Transformers, %j', ({ width, lengthPenalty }) => {
    let stopped = 0;
    for (let seed = 0; seed < 40; seed++) {
      const endTokens = new Set(Array.from({ length: seed % 4 }, (_, i) => 3 * i));
      const options = { width, lengthPenalty, maxTokens: 1 + (seed % 9), endTokens };
      const model = makeModel(seed, 24);
      const expected = reference(model, options);
      const hypotheses = run(model, options);
      expect(hypotheses.map(({ tokens }) => idsOf(tokens))).toEqual(expected.map(({ ids }) => ids));
      hypotheses.forEach(({ score }, i) => expect(score).toBeCloseTo(expected[i]?.score ?? NaN, 6));
      stopped += hypotheses.filter(({ reason }) => reason === 'stop').length;
    }
    expect(stopped).toBeGreaterThan(0);
  });

  const END = 0;
  const options = { width: 2, lengthPenalty: 1, maxTokens: 3, endTokens: new Set([END]) };
  const outline = (hypotheses: readonly Hypothesis[]): unknown =>
    hypotheses.map(({ tokens, reason }) => [idsOf(tokens).join(' '), reason]);

  test('finds what is likelier than the greedy answer', () => {
    const model = tabulate(20, { '': { 1: 0.5, 2: 0.4 }, '1': { 3: 0.3, 4: 0.2 }, '2': { 5: 0.9 } });
    const [best, second] = run(model, { ...options, maxTokens: 2 });
    expect(idsOf(best?.tokens ?? [])).toEqual([2, 5]);
    expect(best?.logprob).toBeCloseTo(Math.log(0.36));
    expect(best?.score).toBeCloseTo(Math.log(0.36) / 2);
    expect(best?.reason).toBe('length');
    expect(idsOf(second?.tokens ?? [])).toEqual([1, 3]);
  });

  test('counts the end token in the length, and prefers the longer or the shorter as the penalty says', () => {
    const table = { '': { [END]: 0.3, 1: 0.6 }, '1': { 2: 0.98 }, '1 2': { [END]: 0.35, 3: 0.6 } };
    const finish = (lengthPenalty: number) => run(tabulate(20, table), { ...options, lengthPenalty });
    expect(outline(finish(0))).toEqual([['1 2 3', 'length'], ['0', 'stop']]); // prettier-ignore
    expect(outline(finish(1))).toEqual([['1 2 3', 'length'], ['1 2 0', 'stop']]); // prettier-ignore
    expect(finish(1)[1]?.score).toBeCloseTo(Math.log(0.6 * 0.98 * 0.35) / 3);
    expect(finish(-2)[0]?.tokens).toHaveLength(1);
  });

  test('an end token behind the best candidates ends nothing', () => {
    const model = tabulate(20, { '': { 1: 0.5, 2: 0.3, [END]: 0.15 } });
    expect(run(model, { ...options, maxTokens: 2 }).every(({ tokens }) => tokens.length === 2)).toBe(true);
  });

  test('stops as soon as no beam can become better than the worst hypothesis', () => {
    const model = tabulate(20, { '': { [END]: 0.9, 1: 0.06 }, '1': { [END]: 0.9 } });
    const search = new BeamSearch({ ...options, maxTokens: 50, lengthPenalty: 0 });
    const best = (tokens: readonly number[]): ScoredToken[] =>
      model(tokens).map((logprob, id) => ({ id, logprob, top: [] })).sort((a, b) => b.logprob - a.logprob); // prettier-ignore
    const first = search.advance([best([])]);
    expect(first).toHaveLength(2);
    expect(search.advance(first.map(({ tokens }) => best(idsOf(tokens))))).toEqual([]);
    expect(outline(search.hypotheses)).toEqual([['0', 'stop'], ['1 0', 'stop']]); // prettier-ignore
  });
});
