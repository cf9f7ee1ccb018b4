import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { EngineObserver } from '../../src/engine/observer.js';
import type { GenerationRequest, RequestPrefix } from '../../src/engine/request.js';
import type { Model } from '../../src/model/model.js';
import { rowWidth, selfKv, selfSite } from '../../src/prefix/kv.js';
import { collect, letters, makeRequest } from '../engine/harness.js';
import { golden, goldenNames, readTensors } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

/** What a request yields: exact numbers. */
interface Answer {
  readonly ids: readonly number[];
  /** Of each token and the best of its place. */
  readonly logprobs: readonly number[];
}

const silent: EngineObserver = {
  admitted: () => undefined,
  promptLookedUp: () => undefined,
  stepped: () => undefined,
  firstToken: () => undefined,
  nextToken: () => undefined,
  verified: () => undefined,
  ended: () => undefined,
};

describe.each(goldenNames())('%s with a prompt cache', (name) => {
  const reference = golden(name);
  let model: Model;
  let prefixes: (RequestPrefix | undefined)[];

  beforeAll(async () => {
    model = await openTestModel(reference.directory, { slots: 4 });
    const adapters = new Set(reference.greedy.cases.flatMap(({ adapter }) => adapter ?? []));
    const kvs = [...adapters].flatMap((adapter) => {
      const { prompt_embeddings: rows } = readTensors(
        path.join(reference.adapter(adapter), 'adapter_model.safetensors'),
      );
      const isPrefix = rows?.shape[1] === rowWidth(selfSite(model.base));
      return rows && isPrefix ? [{ adapter, kv: selfKv(rows.shape[0] ?? 0, rows.data) }] : [];
    });
    prefixes = [
      undefined,
      ...kvs.map(({ adapter: version, kv }) => ({ kv, placement: 'prefix' as const, version })),
      ...kvs.slice(0, 1).map(({ adapter: version, kv }) => ({ kv, placement: 'infix' as const, version })),
    ];
  });
  afterAll(() => model.dispose());

  const cachedTokens: number[] = [];
  const observer = { ...silent, promptLookedUp: (_: number, cached: number) => cachedTokens.push(cached) };
  const engineWith = (promptCacheBytes: number): Engine =>
    new Engine({
      runner: model.runner,
      tokenizer: letters,
      eosTokenIds: [],
      observer,
      limits: { promptCacheBytes, maxChunkTokens: 24 },
    });

  async function answer(engine: Engine, request: GenerationRequest): Promise<Answer> {
    const { ids, tokens } = await collect(engine.submit(request));
    return {
      ids,
      logprobs: tokens.flatMap(({ logprob = NaN, top = [] }) => [logprob, ...Array.from(top, (one) => one.logprob)]),
    };
  }

  const largestDifference = (a: Answer, b: Answer): number =>
    a.logprobs.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b.logprobs[i] ?? NaN))), 0);

  /** Prompts that part after 40 of their tokens, with 2 to 24 tokens behind their last whole block. */
  function requests(): GenerationRequest[] {
    const tokens = reference.greedy.cases.flatMap(({ prompt }) => prompt);
    return prefixes.flatMap((prefix, index) =>
      [50, 61, 72].map((length) =>
        makeRequest({
          prompt: [...tokens.slice(index, index + 40), ...tokens.slice(100 + length, 60 + 2 * length)],
          prefix,
          maxTokens: 10,
          logprobs: 3,
        }),
      ),
    );
  }

  it('answers to the last bit what it answers without, one request at a time', async () => {
    const [off, on] = [engineWith(0), engineWith(2 ** 28)];
    for (const request of requests()) {
      const expected = await answer(off, request);
      await off.idle();
      const cold = await answer(on, request);
      cachedTokens.length = 0;
      const warm = await answer(on, request);
      await on.idle();
      on.checkIntegrity();
      expect(cachedTokens).toEqual([16 * Math.floor((request.prompt.length - 1) / 16)]);
      expect(cold).toEqual(expected);
      expect(warm).toEqual(expected);
    }
    expect(on.stats().promptCacheBytes).toBeGreaterThan(0);
  });

  it('answers the same where only the last token is computed, as a decode row', async () => {
    const [off, on] = [engineWith(0), engineWith(2 ** 28)];
    const [{ prompt }] = requests() as [GenerationRequest];
    for (const prefix of prefixes) {
      const request = makeRequest({ prompt: prompt.slice(0, 49), prefix, logprobs: 3 });
      const expected = await answer(off, request);
      await off.idle();
      await answer(on, request);
      const warm = await answer(on, request);
      await on.idle();
      expect(warm.ids).toEqual(expected.ids);
      expect(largestDifference(warm, expected)).toBeLessThan(1e-4); // another kernel may compute a single row
    }
  });

  it('answers the same in company', async () => {
    const [off, on] = [engineWith(0), engineWith(2 ** 28)];
    const all = [...requests(), ...requests()];
    const expected = await Promise.all(all.map((request) => answer(off, request)));
    await off.idle();
    const actual = await Promise.all(all.map((request) => answer(on, request)));
    await on.idle();
    expect(actual.map(({ ids }) => ids)).toEqual(expected.map(({ ids }) => ids));
    actual.forEach((one, i) => expect(largestDifference(one, expected[i] as Answer)).toBeLessThan(1e-4));
    expect(on.stats().promptCacheBytes).toBeGreaterThan(0);
  });
});
