import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { GenerationRequest, RequestPrefix } from '../../src/engine/request.js';
import type { Model } from '../../src/model/model.js';
import type { PrefixKv } from '../../src/prefix/kv.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { prefixOf } from '../support/golden-prefix.js';
import { golden, goldenNames, type GreedyCase } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

const TOLERANCE = 1e-3;
const MAX_TOKENS = 24;

describe.each(goldenNames())('%s through the engine', (name) => {
  const { greedy, ...reference } = golden(name);
  let model: Model;
  let engine: Engine;
  const prefixes = new Map<string, RequestPrefix>();

  beforeAll(async () => {
    model = await openTestModel(reference.directory, { slots: 8 });
    for (const testCase of greedy.cases) {
      const { adapter } = testCase;
      if (adapter === null || prefixes.has(adapter)) continue;
      const kv = (await prefixOf(model, reference, testCase)) as PrefixKv;
      prefixes.set(adapter, { kv, placement: 'prefix' });
    }
  });
  afterEach(() => {
    engine.checkIntegrity();
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 });
  });
  afterAll(() => model.dispose());

  async function start(maxChunkTokens: number): Promise<void> {
    const tokenizer = await loadTokenizer(model.tokenizerDirectory);
    const { runner, eosTokenIds } = model;
    engine = new Engine({ runner, tokenizer, eosTokenIds, limits: { maxChunkTokens } });
  }

  function requestFor({ adapter, prompt }: GreedyCase): GenerationRequest {
    return {
      tenant: 'default',
      prompt,
      prefix: adapter === null ? undefined : prefixes.get(adapter),
      sampling: { temperature: 0, topP: 1, topK: 0, seed: undefined },
      choice: 0,
      maxTokens: MAX_TOKENS,
      minTokens: 0,
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
      logprobs: 0,
    };
  }

  /** Runs a case and holds it against the reference. */
  async function check(testCase: GreedyCase, changes: Partial<GenerationRequest> = {}): Promise<void> {
    const ids: number[] = [];
    const logprobs: number[] = [];
    let reason = '';
    for await (const event of engine.submit({ ...requestFor(testCase), ...changes })) {
      if (event.type === 'finish') reason = event.reason;
      if (event.type === 'token') {
        ids.push(event.id);
        logprobs.push(event.logprob as number);
      }
    }
    expect(ids, testCase.id).toEqual(testCase.ids);
    expect(reason, testCase.id).toBe(testCase.finish_reason);
    logprobs.forEach((logprob, i) => {
      expect(Math.abs(logprob - (testCase.logprobs[i] as number)), testCase.id).toBeLessThan(TOLERANCE);
    });
  }

  const chunks = [1, 7, 1024];

  it.each(chunks)('gives every case alone what it should, chunks of %s', async (maxChunkTokens) => {
    await start(maxChunkTokens);
    for (const testCase of greedy.cases) await check(testCase);
  });

  it.each(chunks)('scores a prompt as it scores what it generates, chunks of %s', async (maxChunkTokens) => {
    await start(maxChunkTokens);
    for (const testCase of greedy.cases) {
      const prompt = [...testCase.prompt, ...testCase.ids];
      const scored: number[] = [];
      const request = { ...requestFor(testCase), prompt, maxTokens: 0, promptLogprobs: 0 };
      for await (const event of engine.submit(request)) {
        if (event.type === 'prompt') scored.push(...event.tokens.map(({ logprob }) => logprob));
      }
      expect(scored, testCase.id).toHaveLength(prompt.length - 1);
      scored.slice(-testCase.ids.length).forEach((logprob, i) => {
        expect(Math.abs(logprob - (testCase.logprobs[i] as number)), testCase.id).toBeLessThan(TOLERANCE);
      });
    }
  });

  it.each(chunks)('gives every row of every listed batch what it should, chunks of %s', async (maxChunkTokens) => {
    await start(maxChunkTokens);
    const byId = new Map(greedy.cases.map((testCase) => [testCase.id, testCase]));
    for (const batch of greedy.batches) await Promise.all(batch.map((id) => check(byId.get(id) as GreedyCase)));
  });

  it.each(chunks)('gives siblings, which share their prompt, what it should, chunks of %s', async (maxChunkTokens) => {
    await start(maxChunkTokens);
    for (const testCase of greedy.cases) {
      const promptGroup = Symbol('prompt group');
      await Promise.all([0, 1, 2].map((choice) => check(testCase, { choice, promptGroup })));
    }
  });

  it.each(['prefix', 'infix'] as const)(
    'draws the same for siblings as for others, placement %s',
    async (placement) => {
      await start(7);
      const draw = async (request: GenerationRequest): Promise<number[]> => {
        const ids: number[] = [];
        for await (const event of engine.submit(request)) if (event.type === 'token') ids.push(event.id);
        return ids;
      };
      for (const testCase of greedy.cases.slice(0, 12)) {
        const { prefix, ...request } = requestFor(testCase);
        const sampling = { temperature: 0.8, topP: 1, topK: 0, seed: 3 };
        // Few tokens: rounding, which depends on chunks, can turn a draw that comes close to the border of two tokens.
        const common = { ...request, prefix: prefix && { ...prefix, placement }, sampling, maxTokens: 6 };
        const promptGroup = Symbol('prompt group');
        const choices = [0, 1, 2, 3].map((choice) => ({ ...common, choice }));
        const [alone, shared] = await Promise.all(
          [choices, choices.map((one) => ({ ...one, promptGroup }))].map((all) => Promise.all(all.map(draw))),
        );
        expect(shared, testCase.id).toEqual(alone);
      }
    },
  );

  it.each(chunks)('does so with arrivals spread at random over time, chunks of %s', async (maxChunkTokens) => {
    await start(maxChunkTokens);
    let state = 12345;
    const random = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;
    const arrivals = [...greedy.cases, ...greedy.cases].map(async (testCase) => {
      await delay(random() * 500);
      await check(testCase);
    });
    await Promise.all(arrivals);
  });
});
