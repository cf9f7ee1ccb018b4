import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { BlendEntry, BlendRequest, GenerationRequest, RequestPrefix } from '../../src/engine/request.js';
import { uniform } from '../../src/engine/sampling/random.js';
import type { Model } from '../../src/model/model.js';
import { composeKv, type PrefixKv, selfKv, selfRows } from '../../src/prefix/kv.js';
import type { ModelTokenizer } from '../../src/tokenizer/token-encoder.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { prefixOf } from '../support/golden-prefix.js';
import { golden, goldenNames, type GreedyCase } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

const TOLERANCE = 1e-4;
const MAX_TOKENS = 10;

/** The tokens of a run, and their log-probabilities. */
interface Run {
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
}

function logSoftmax(values: readonly number[]): number[] {
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const lse = largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return values.map((value) => value - lse);
}

describe.each(goldenNames())('%s, blended and composed', (name) => {
  const { greedy, ...reference } = golden(name);
  let model: Model;
  let tokenizer: ModelTokenizer;
  let engine: Engine;
  const prefixes: RequestPrefix[] = [];

  beforeAll(async () => {
    model = await openTestModel(reference.directory, { slots: 8 });
    tokenizer = await loadTokenizer(model.tokenizerDirectory);
    const adapters = new Map(greedy.cases.map((testCase) => [testCase.adapter, testCase]));
    for (const testCase of adapters.values()) {
      const kv = await prefixOf(model, reference, testCase);
      if (kv) prefixes.push({ kv, placement: 'prefix' });
    }
    expect(prefixes.length).toBeGreaterThan(1);
  });
  afterEach(async () => {
    await engine.idle();
    engine.checkIntegrity();
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 });
  });
  afterAll(() => model.dispose());

  function start(maxChunkTokens: number): void {
    const { runner } = model;
    engine = new Engine({ runner, tokenizer, eosTokenIds: [], limits: { maxChunkTokens } });
  }

  const common = { tenant: 'default', choice: 0, maxTokens: MAX_TOKENS, minTokens: 0, stop: [], stopTokenIds: [] };
  const greedySampling = { temperature: 0, topP: 1, topK: 0, seed: undefined };

  function requestFor({ prompt }: GreedyCase): Omit<GenerationRequest, 'prefix' | 'promptGroup'> {
    return { ...common, prompt: prompt.slice(0, 20), sampling: greedySampling, ignoreEos: true, logprobs: 0 };
  }

  async function read(generation: ReturnType<Engine['submit']>): Promise<Run> {
    const ids: number[] = [];
    const logprobs: number[] = [];
    for await (const event of generation) {
      if (event.type !== 'token') continue;
      ids.push(event.id);
      logprobs.push(event.logprob as number);
    }
    return { ids, logprobs };
  }

  /** All log-probabilities behind some tokens, of one entry alone: a solo run that reports the whole vocabulary. */
  async function soloLogprobs(prefix: RequestPrefix | undefined, prompt: readonly number[]): Promise<number[]> {
    const { vocabularySize: logprobs } = model.runner;
    const all = new Array<number>(logprobs).fill(NaN);
    const request = { ...common, prefix, prompt, sampling: greedySampling, ignoreEos: true, maxTokens: 1, logprobs };
    for await (const event of engine.submit(request)) {
      if (event.type === 'token') for (const { id, logprob } of event.top ?? []) all[id] = logprob;
    }
    return all;
  }

  /** What a blend gives by its definition, from the log-probabilities of each entry alone. */
  async function blendAlone({ entries, prompt, sampling }: BlendRequest): Promise<Run> {
    const ids: number[] = [];
    const scores: number[] = [];
    while (ids.length < MAX_TOKENS) {
      const solo = await Promise.all(entries.map(({ prefix }) => soloLogprobs(prefix, [...prompt, ...ids])));
      const sums = solo[0]!.map((_, id) => entries.reduce((sum, { weight }, i) => sum + weight * solo[i]![id]!, 0));
      const logprobs = logSoftmax(sums);
      const id = choose(logprobs, sampling, ids.length);
      ids.push(id);
      scores.push(logprobs[id]!);
    }
    return { ids, logprobs: scores };
  }

  /** The best token, or that at the request's random number of the softmax over the temperature, best first. */
  function choose(logprobs: readonly number[], { temperature, seed = 0 }: BlendRequest['sampling'], t: number): number {
    const ranked = [...logprobs.keys()].sort((a, b) => logprobs[b]! - logprobs[a]! || a - b);
    if (temperature === 0) return ranked[0]!;
    const scaled = logSoftmax(logprobs.map((logprob) => logprob / temperature));
    const walk = [...ranked.slice(0, 64), ...ranked.slice(64).sort((a, b) => a - b)];
    let cumulative = 0;
    return walk.find((id) => uniform(seed, 0, t) < (cumulative += Math.exp(scaled[id]!)))!;
  }

  function expectSame(found: Run, expected: Run): void {
    expect(found.ids).toEqual(expected.ids);
    found.logprobs.forEach((logprob, i) => expect(Math.abs(logprob - expected.logprobs[i]!)).toBeLessThan(TOLERANCE));
  }

  /** A stronger prefix, an ensemble, a composition against another one, and what some prefixes say less of the base. */
  function blendsOf(): readonly (readonly BlendEntry[])[] {
    const [a, b, c = prefixes[0]] = prefixes;
    const composed: RequestPrefix = { kv: composeKv([a!.kv, b!.kv]), placement: 'prefix' };
    return [
      [
        { prefix: a, weight: 1.5 },
        { prefix: undefined, weight: -0.5 },
      ],
      [a, b, c].map((prefix) => ({ prefix, weight: 1 / 3 })),
      [
        { prefix: composed, weight: 0.7 },
        { prefix: b, weight: 0.3 },
      ],
      [
        { prefix: b, weight: 2 },
        { prefix: a, weight: -0.75 },
        { prefix: undefined, weight: -0.25 },
      ],
    ];
  }

  it.each([1, 7, 1024])('blends as arithmetic over solo runs does, alone, chunks of %s', async (maxChunkTokens) => {
    start(maxChunkTokens);
    for (const [i, entries] of blendsOf().entries()) {
      for (const sampling of [greedySampling, { ...greedySampling, temperature: 0.9, seed: i + 1 }]) {
        const request = { ...requestFor(greedy.cases[i]!), entries, sampling };
        expectSame(await read(engine.submitBlend(request)), await blendAlone(request));
      }
    }
  });

  it('does so in company, with arrivals at random times, and as work that gives way', async () => {
    start(7);
    const requests = blendsOf().flatMap((entries, i) =>
      (['interactive', 'background'] as const).map((priority) => {
        return { ...requestFor(greedy.cases[i + 1]!), entries, priority };
      }),
    );
    const expected: Run[] = [];
    for (const request of requests) expected.push(await blendAlone(request));
    let state = 4321;
    const random = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;
    const arrive = async (request: BlendRequest, i: number): Promise<void> => {
      await delay(random() * 200);
      expectSame(await read(engine.submitBlend(request)), expected[i]!);
    };
    const others = greedy.cases
      .filter(({ adapter }) => adapter === null)
      .map(async (testCase) => {
        await delay(random() * 200);
        const { ids } = await read(engine.submit({ ...requestFor(testCase), prompt: testCase.prompt }));
        const expected = testCase.ids.slice(0, MAX_TOKENS);
        expect(ids.slice(0, expected.length)).toEqual(expected); // the reference stops at an end token
      });
    await Promise.all([...requests.map(arrive), ...others]);
  });

  it('composes prefixes as one prefix of all their rows', async () => {
    start(7);
    const plain = prefixes.map(({ kv }) => kv);
    for (const testCase of greedy.cases.slice(0, 4)) {
      for (const parts of [plain.slice(0, 2), plain.slice(0, 2).reverse(), [plain[1]!, plain[1]!]]) {
        const joined = join(parts);
        const [composed, one] = [composeKv(parts), joined].map((kv) => {
          return { ...requestFor(testCase), prefix: { kv, placement: 'prefix' } as const };
        });
        expectSame(await read(engine.submit(composed!)), await read(engine.submit(one!)));
      }
    }
  });

  function join(parts: readonly PrefixKv[]): PrefixKv {
    const rows = Float32Array.from(parts.flatMap((part) => [...selfRows(part)]));
    return selfKv(
      parts.reduce((length, part) => length + part.length, 0),
      rows,
    );
  }
});
