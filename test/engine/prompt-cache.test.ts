import { setImmediate } from 'node:timers/promises';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { BLOCK_TOKENS, PromptCache } from '../../src/engine/kv/prompt-cache.js';
import type { EngineObserver } from '../../src/engine/observer.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import type { KvCopy } from '../../src/engine/runner.js';
import { makeFakeKv, type FakeRunner, type FakeRunnerOptions } from './fake-runner.js';
import {
  collect,
  engineMaker,
  makeRequest,
  runAlone,
  sampled,
  type Collected,
  type EngineUnderTest,
} from './harness.js';

const makeEngine = engineMaker();

function setUp(promptCacheBytes = 1e6, fake: FakeRunnerOptions = {}, maxChunkTokens = 24): EngineUnderTest {
  return makeEngine({ contextLength: 128, ...fake }, { limits: { promptCacheBytes, maxChunkTokens } });
}

/** A prompt that another seed gives another beginning. */
const promptOf = (length: number, seed = 0): number[] => Array.from({ length }, (_, i) => (seed * 31 + i * 7) % 120);
const prompt = promptOf(50);
const numBlocks = Math.floor((prompt.length - 1) / BLOCK_TOKENS);

/** Positions of the chunks' first tokens, and how many tokens each has. */
const chunksOf = ({ steps }: FakeRunner): string[] =>
  steps.flatMap(({ chunk }) => (chunk ? [`${chunk.past}+${chunk.tokens.length}`] : []));

/** Runs requests one after another; returns the chunks that the last one needed. */
async function runInTurn({ engine, runner }: EngineUnderTest, requests: GenerationRequest[]): Promise<string[]> {
  let chunks: string[] = [];
  for (const request of requests) {
    const before = chunksOf(runner).length;
    expect(await collect(engine.submit(request))).toEqual(await runAlone(request));
    await engine.idle();
    engine.checkIntegrity();
    chunks = chunksOf(runner).slice(before);
  }
  return chunks;
}

describe('a prompt that was computed', () => {
  test('is computed from its last whole block on', async () => {
    expect(await runInTurn(setUp(), [makeRequest({ prompt })])).toEqual(['0+24', '24+24', '48+2']);
    expect(await runInTurn(setUp(), [makeRequest({ prompt }), makeRequest({ prompt })])).toEqual(['48+2']);
  });

  test('is a decode row at once where only its last token is left', async () => {
    const short = prompt.slice(0, 49);
    const under = setUp();
    expect(await runInTurn(under, [makeRequest({ prompt: short }), makeRequest({ prompt: short })])).toEqual([]);
    expect(under.runner.steps.at(-8)?.decode).toMatchObject([{ past: 48 }]);
  });

  test('is used as far as two prompts are the same', async () => {
    const other = [...prompt.slice(0, 40), ...promptOf(20, 3)];
    expect(await runInTurn(setUp(), [makeRequest({ prompt }), makeRequest({ prompt: other })])).toEqual([
      '32+24',
      '56+4',
    ]);
  });

  test('says how much of it was cached, when there is some', async () => {
    const { engine } = setUp();
    const finishOf = async (request: GenerationRequest): Promise<unknown> => {
      let last: unknown;
      for await (const event of engine.submit(request)) last = event;
      return last;
    };
    expect(await finishOf(makeRequest({ prompt }))).not.toHaveProperty('cachedTokens');
    expect(await finishOf(makeRequest({ prompt }))).toMatchObject({ type: 'finish', cachedTokens: 48 });
  });

  test('is not used where it is to be scored, nor kept', async () => {
    const scored = makeRequest({ prompt, promptLogprobs: 1 });
    const under = setUp();
    expect(await runInTurn(under, [makeRequest({ prompt }), scored])).toEqual(['0+24', '24+24', '48+2']);
    const fresh = setUp();
    await runInTurn(fresh, [scored]);
    expect(fresh.engine.stats().promptCacheBytes).toBe(0);
  });

  test('is kept as far as it came when it was cancelled', async () => {
    const { engine, runner } = setUp();
    const first = engine.submit(makeRequest({ prompt }));
    runner.beforeStep = () => {
      if (runner.steps.length === 2) first.cancel();
    };
    await collect(first);
    const chunks = await runInTurn({ engine, runner }, [makeRequest({ prompt })]);
    expect(chunks).toEqual(['48+2']);
  });

  test('is found by beams, and their hypotheses are the same', async () => {
    const search = { ...makeRequest({ prompt }), width: 3, lengthPenalty: 1, maxTokens: 5 };
    const run = async ({ engine }: EngineUnderTest): Promise<Collected[]> =>
      Promise.all(engine.submitBeams(search).map((generation) => collect(generation)));
    const expected = await run(setUp(0));
    const under = setUp();
    await runInTurn(under, [makeRequest({ prompt })]);
    const before = chunksOf(under.runner).length;
    expect(await run(under)).toEqual(expected);
    expect(chunksOf(under.runner).slice(before)).toEqual(['48+2']);
  });

  test('goes to siblings through the one that found it', async () => {
    const under = setUp(1e6, { slots: 4 });
    await runInTurn(under, [makeRequest({ prompt: prompt.slice(0, 49) })]);
    const before = chunksOf(under.runner).length;
    const promptGroup = Symbol('prompt group');
    const requests = [0, 1, 2].map((choice) =>
      makeRequest({ prompt: prompt.slice(0, 49), promptGroup, choice, sampling: sampled(3) }),
    );
    const together = await Promise.all(requests.map((request) => collect(under.engine.submit(request))));
    expect(together).toEqual(await Promise.all(requests.map(runAlone)));
    expect(chunksOf(under.runner).slice(before)).toEqual([]);
  });

  test('goes to siblings that are admitted with the one that found it, which alone has looked it up', async () => {
    const lookedUp: number[] = [];
    const ignore = (): void => undefined;
    const observer: EngineObserver = {
      ...{ admitted: ignore, stepped: ignore, firstToken: ignore, nextToken: ignore, verified: ignore, ended: ignore },
      promptLookedUp: (_, cached) => void lookedUp.push(cached),
    };
    const limits = { promptCacheBytes: 1e6 };
    const { engine } = makeEngine({ contextLength: 128, slots: 4 }, { limits, observer });
    const promptGroup = Symbol('prompt group');
    const request = makeRequest({ prompt: prompt.slice(0, 49), maxTokens: 2 });
    await collect(engine.submit(request));
    const siblings = [0, 1, 2].map((choice) => engine.submit({ ...request, promptGroup, choice }));
    const finishes = await Promise.all(
      siblings.map(async (events) => {
        for await (const event of events) if (event.type === 'finish') return event.cachedTokens;
        return NaN;
      }),
    );
    expect(finishes).toEqual([48, undefined, undefined]);
    expect(lookedUp).toEqual([0, 48]);
  });

  test('takes a slot that a prompt in prefill stands in, and leaves that its own', async () => {
    const under = setUp(1e6, { slots: 3 }, 4);
    const short = prompt.slice(0, 49);
    await runInTurn(under, [makeRequest({ prompt: short })]);
    const { engine, runner } = under;
    const before = runner.steps.length;
    const requests = [makeRequest({ prompt: promptOf(50, 1) }), makeRequest({ prompt: short })];
    const first = collect(engine.submit(requests[0]!));
    while (runner.steps.length < before + 3) await setImmediate();
    const second = collect(engine.submit(requests[1]!));
    expect(await Promise.all([first, second])).toEqual(await Promise.all(requests.map(runAlone)));
    const mixed = runner.steps.slice(before).filter(({ decode, chunk }) => decode.length > 0 && chunk);
    expect(mixed.length).toBeGreaterThan(0);
  });

  test('is charged to the tenant only where it is computed', async () => {
    // Two tenants, both backlogged, one slot: the one whose prompts are cached is served more often.
    const { engine } = setUp(1e6, { slots: 1 });
    await collect(engine.submit(makeRequest({ tenant: 'cached', prompt, maxTokens: 1 })));
    const order: string[] = [];
    const run = async (tenant: string, seed: number): Promise<void> => {
      const own = tenant === 'cached' ? prompt : promptOf(50, seed);
      await collect(engine.submit(makeRequest({ tenant, prompt: own, maxTokens: 1 })));
      order.push(tenant);
    };
    await Promise.all([1, 2, 3, 4, 5, 6].flatMap((seed) => [run('cold', seed), run('cached', seed)]));
    expect(order.slice(0, 7).filter((tenant) => tenant === 'cached').length).toBeGreaterThanOrEqual(5);
  });

  test('costs nothing where the option is off', async () => {
    const under = setUp(0);
    under.runner.readSlot = () => Promise.reject(new Error('read'));
    expect(await runInTurn(under, [makeRequest({ prompt }), makeRequest({ prompt })])).toHaveLength(3);
    expect(under.engine.stats().promptCacheBytes).toBe(0);
  });
});

describe('nothing is shared', () => {
  const kv = makeFakeKv(5, 1);
  const prefixOf = (version: string | undefined, seed = 1, placement: 'prefix' | 'infix' = 'prefix') => ({
    prefix: { kv: seed === 1 ? kv : makeFakeKv(5, seed), placement, version },
  });
  const all = ['0+24', '24+24', '48+2'];
  const behind = ['5+24', '29+24', '53+2'];

  test.each<[string, Partial<GenerationRequest>, Partial<GenerationRequest>, string[]]>([
    ['two tenants', { tenant: 'a' }, { tenant: 'b' }, all],
    ['a tenant and a later one', { tenant: 'a', tenantCreated: 1.001 }, { tenant: 'a', tenantCreated: 1.002 }, all],
    ['tenants whose names run into a version', { tenant: 'a,b' }, { tenant: 'a', ...prefixOf('b') }, behind],
    ['two versions of a prefix', prefixOf('v1', 1), prefixOf('v2', 2), behind],
    ['two versions with the same keys and values', prefixOf('v1'), prefixOf('v2'), behind],
    ['a prefix and none', prefixOf('v1'), {}, all],
    ['none and a prefix', {}, prefixOf('v1'), behind],
    [
      'two tenants with the same version',
      { tenant: 'a', ...prefixOf('v1') },
      { tenant: 'b', ...prefixOf('v1') },
      behind,
    ],
    ['two placements', prefixOf('v1'), prefixOf('v1', 1, 'infix'), ['0+24', '24+24', '48+1']],
    ['prefixes without a version', prefixOf(undefined), prefixOf(undefined), behind],
  ])('between %s', async (_, first, second, chunks) => {
    const requests = [makeRequest({ prompt, ...first }), makeRequest({ prompt, ...second })];
    expect(await runInTurn(setUp(), requests)).toEqual(chunks);
  });

  test.each(['prefix', 'infix'] as const)('but one version of a %s with itself', async (placement) => {
    const request = makeRequest({ prompt, ...prefixOf('v1', 1, placement) });
    const chunks = await runInTurn(setUp(), [request, { ...request }]);
    expect(chunks).toEqual(placement === 'prefix' ? ['53+2'] : ['48+1']);
  });

  test('under a version that was deleted and uploaded anew with the same content, or with other content', async () => {
    const under = setUp();
    const old = makeRequest({ prompt, ...prefixOf('v1', 1) });
    expect(await runInTurn(under, [old, { ...old, prefix: { ...old.prefix!, kv: makeFakeKv(5, 1) } }])).toEqual([
      '53+2',
    ]);
    expect(await runInTurn(under, [makeRequest({ prompt, ...prefixOf('v2', 2) })])).toEqual(behind);
  });
});

describe('the memory of a prompt cache', () => {
  const block = (bytes = 10): KvCopy => ({ length: BLOCK_TOKENS, bytes });
  const store = async (cache: PromptCache, request: GenerationRequest): Promise<number[]> => {
    const read: number[] = [];
    await cache.store(request, request.prompt.length, (index) => {
      read.push(index);
      return Promise.resolve(block());
    });
    cache.checkIntegrity();
    return read;
  };
  const request = (seed: number, length = 50): GenerationRequest => makeRequest({ prompt: promptOf(length, seed) });

  test('gives up the prompt that was not used for longest, the last of its blocks first', async () => {
    const cache = new PromptCache(60);
    await store(cache, request(1));
    await store(cache, request(2));
    expect(cache.bytes).toBe(60);
    expect(cache.find(request(1))?.blocks).toHaveLength(numBlocks);
    cache.use(request(1));
    await store(cache, request(3, 20));
    expect([1, 2, 3].map((seed) => cache.find(request(seed))?.numTokens)).toEqual([48, 32, 16]);
    await store(cache, request(4, 40));
    expect([1, 2, 3, 4].map((seed) => cache.find(request(seed))?.numTokens)).toEqual([48, 0, 16, 32]);
    expect(cache.bytes).toBe(60);
  });

  test('gives up another prompt rather than the beginning of the one that goes on', async () => {
    const cache = new PromptCache(60);
    await store(cache, request(1, 33));
    await store(cache, request(2));
    expect(await store(cache, request(1, 65))).toEqual([32, 48]);
    expect([1, 2].map((seed) => cache.find(request(seed, 65))?.numTokens)).toEqual([64, 32]);
  });

  test('asking how much is there uses nothing', async () => {
    const cache = new PromptCache(60);
    await store(cache, request(1));
    await store(cache, request(2));
    expect(cache.find(request(1))?.numTokens).toBe(48);
    await store(cache, request(3));
    expect([1, 2, 3].map((seed) => cache.find(request(seed))?.numTokens)).toEqual([0, 48, 48]);
  });

  test('keeps the beginning of a prompt that is larger than all of it', async () => {
    const cache = new PromptCache(25);
    await store(cache, request(1));
    expect([cache.find(request(1))?.numTokens, cache.bytes]).toEqual([32, 20]);
    expect(await store(cache, request(1))).toEqual([32]);
    const tiny = new PromptCache(9);
    await store(tiny, request(1));
    expect(tiny.bytes).toBe(0);
  });

  test('reads only what is not there, and the last token is never held', async () => {
    const cache = new PromptCache(1000);
    expect(await store(cache, request(1, 33))).toEqual([0, 16]);
    expect(await store(cache, request(1, 49))).toEqual([32]);
    expect(await store(cache, request(1, 49))).toEqual([]);
    expect(cache.find(request(1, 48))?.numTokens).toBe(32);
    expect(cache.find(request(1, 16))?.numTokens).toBe(0);
  });

  test('is bounded in the engine', async () => {
    const bytes = 4 * BLOCK_TOKENS * 4;
    const under = setUp(bytes);
    for (let seed = 1; seed < 8; seed++) await runInTurn(under, [makeRequest({ prompt: promptOf(50, seed) })]);
    expect(under.engine.stats().promptCacheBytes).toBe(bytes);
    expect(await runInTurn(under, [makeRequest({ prompt: promptOf(50, 7) })])).toEqual(['48+2']);
  });
});

test('whatever comes when, and however little is kept, the tokens are those without a cache', async () => {
  const kvs = [makeFakeKv(3, 1), makeFakeKv(7, 2)];
  const sequence = fc.record({
    seed: fc.integer({ min: 0, max: 1 }),
    shared: fc.integer({ min: 1, max: 60 }),
    own: fc.integer({ min: 0, max: 20 }),
    tenant: fc.constantFrom('a', 'b'),
    prefix: fc.constantFrom(undefined, 0, 1),
    placement: fc.constantFrom('prefix' as const, 'infix' as const),
    maxTokens: fc.integer({ min: 1, max: 12 }),
    promptLogprobs: fc.constantFrom(undefined, undefined, undefined, 1),
    twins: fc.integer({ min: 1, max: 3 }),
    priority: fc.constantFrom('interactive' as const, 'background' as const),
    delay: fc.integer({ min: 0, max: 12 }),
    leaveAfter: fc.constantFrom(Infinity, Infinity, 1, 4),
  });
  const shape = fc.record({
    sequences: fc.array(sequence, { minLength: 2, maxLength: 10 }),
    slots: fc.integer({ min: 1, max: 5 }),
    blocks: fc.constantFrom(1, 2, 5, 9, 1000),
    maxChunkTokens: fc.constantFrom(1, 7, 16, 24, 64),
  });
  const run = fc.asyncProperty(shape, async ({ sequences, slots, blocks, maxChunkTokens }) => {
    const requests = sequences.flatMap((one, at) => {
      const { seed, shared, own, tenant, placement, maxTokens, promptLogprobs, priority } = one;
      const kv = one.prefix === undefined ? undefined : kvs[one.prefix];
      const promptGroup = Symbol('prompt group');
      return Array.from({ length: one.twins }, (_, choice) => ({
        ...one,
        request: makeRequest({
          tenant,
          prompt: [...promptOf(shared, seed), ...promptOf(own, at + 2)],
          prefix: kv && { kv, placement, version: `v${one.prefix}` },
          sampling: sampled(at),
          choice,
          promptGroup,
          priority,
          maxTokens,
          promptLogprobs,
          logprobs: 1,
        }),
      }));
    });
    const outputs = async (promptCacheBytes: number): Promise<Collected[]> => {
      const { engine, runner } = setUp(promptCacheBytes, { slots }, maxChunkTokens);
      const all = requests.map(async ({ request, delay, leaveAfter }) => {
        while (runner.steps.length < delay && engine.stats().running > 0) await setImmediate();
        return collect(engine.submit(request), leaveAfter);
      });
      const collected = await Promise.all(all);
      await engine.idle();
      engine.checkIntegrity();
      return collected;
    };
    expect(await outputs(blocks * BLOCK_TOKENS * 4)).toEqual(await outputs(0));
  });
  await fc.assert(run, { numRuns: 60 });
}, 60_000);
