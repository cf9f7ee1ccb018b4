import { describe, expect, it } from 'vitest';

import { collectCompletion, streamCompletion } from '../../src/completions/answer/response.js';
import type { CompletionChunk } from '../../src/completions/answer/schema.js';
import { startCompletion, type Completion, type CompletionDeps } from '../../src/completions/completion.js';
import { requestContext } from '../../src/completions/context.js';
import { CompletionError, RateLimitError } from '../../src/completions/errors.js';
import { startMany } from '../../src/completions/many.js';
import { Engine } from '../../src/engine/engine.js';
import { StoreError } from '../../src/lib/store-error.js';
import { selfKv } from '../../src/prefix/kv.js';
import { PrefixError } from '../../src/prefix/errors.js';
import { NO_LIMITS, type TenantLimits } from '../../src/tenancy/limits.js';
import { Reservation } from '../../src/completions/plan/reservation.js';
import { MemoryRateLimiter } from '../../src/tenancy/memory-rate-limiter.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { base } from '../server/harness.js';
import { byteTokenizer } from '../server/scripted-engine.js';

const body = { model: 'tiny', prompt: 'abc', max_tokens: 4, temperature: 0, return_token_ids: true };
const callerOf = (limits: Partial<TenantLimits> = {}) => ({
  tenant: 't',
  created: null,
  limits: { ...NO_LIMITS, ...limits },
});

/** Completions of the real engine on the fake runner, with one prefix `p` of two virtual tokens. */
function completer(limits: Partial<TenantLimits> = {}) {
  const { contextLength, vocabularySize } = base;
  const engine = new Engine({
    runner: new FakeRunner({ contextLength, vocabularySize }),
    tokenizer: byteTokenizer,
    eosTokenIds: [0],
  });
  const kv = selfKv(2, new Float32Array(8).fill(0.5));
  const library = {
    nameOf: async (_: string, model: string) => model,
    load: async (_: string, name: string) => {
      if (name === 'away') throw new StoreError('prefixes', 'unavailable');
      if (name === 'damaged') throw new PrefixError('prefix_damaged', 'damaged');
      if (name !== 'p') throw new PrefixError('prefix_not_found', 'none');
      const info = { name, placement: 'prefix', version: 'f'.repeat(64) };
      return { kv, info, source: 'memory' } as never;
    },
  };
  const deps: CompletionDeps = {
    engine,
    tokenizer: byteTokenizer,
    library,
    base,
    maxChoices: 8,
    now: () => 1_700_000_000_123,
  };
  const caller = callerOf(limits);
  const limiter = new MemoryRateLimiter(() => 0);
  const reserve = () => Reservation.ofRequest(limiter, caller);
  const start = async (fields: object = {}, gone = new AbortController().signal): Promise<Completion> => {
    const reserved = { body: { ...body, ...fields }, reservation: await reserve() };
    return startCompletion(deps, caller, reserved, requestContext(gone));
  };
  const many = async (requests: Parameters<typeof startMany>[2]['requests'], stream = false) => {
    const call = { requests, stream, reservation: await reserve() };
    const context = requestContext(new AbortController().signal);
    return startMany({ ...deps, limiter, maxRequests: 64 }, caller, call, context);
  };
  return { engine, start, many };
}

describe('startCompletion', () => {
  it('completes without HTTP, whole and in chunks alike', async () => {
    const { engine, start } = completer();
    const answer = await collectCompletion(await start({ n: 2 }));
    expect(answer).toMatchObject({ object: 'text_completion', created: 1_700_000_000, model: 'tiny' });
    expect(answer.choices.map(({ index, token_ids }) => [index, token_ids?.length])).toEqual([
      [0, 4],
      [1, 4],
    ]);
    expect(answer.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 8, total_tokens: 11 });

    const chunks: CompletionChunk[] = [];
    await streamCompletion(await start({ stream: true }), async (chunk) => void chunks.push(chunk as CompletionChunk));
    const [choice] = answer.choices;
    expect(chunks.flatMap(({ choices }) => choices.flatMap(({ token_ids = [] }) => token_ids))).toEqual(
      choice?.token_ids,
    );
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe(choice?.finish_reason);
    engine.checkIntegrity();
  });

  it('completes behind the prefix that the model names', async () => {
    const { start } = completer();
    const [plain, prefixed] = [
      await collectCompletion(await start()),
      await collectCompletion(await start({ model: 'p' })),
    ];
    expect(prefixed.usage.prompt_tokens_details.prefix_tokens).toBe(2);
    expect(prefixed.choices[0]?.token_ids).not.toEqual(plain.choices[0]?.token_ids);
  });

  it.each([
    [{ frob: 1 }, 'unknown_parameter', 'frob'],
    [{ n: 'x' }, 'invalid_type', 'n'],
    [{ suffix: '' }, 'unsupported_parameter', 'suffix'],
    [{ n: 9 }, 'invalid_value', 'n'],
    [{ model: 'q' }, 'model_not_found', 'model'],
    [{ model: 'damaged' }, 'prefix_damaged', 'model'],
    [{ max_tokens: 62 }, 'context_length_exceeded', 'prompt'],
    [{ use_beam_search: true, n: 5 }, 'invalid_value', 'n'],
  ])('refuses %j with a code and the field', async (fields, code, param) => {
    const { engine, start } = completer({ requestsPerMinute: 3 });
    await expect(start(fields)).rejects.toSatisfy((error) => error instanceof CompletionError);
    await expect(start(fields)).rejects.toMatchObject({ code, param });
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 });
    expect((await collectCompletion(await start())).choices).toHaveLength(1);
    // Each that was refused took one request.
    await expect(start()).rejects.toMatchObject({ code: 'rate_limit_exceeded' });
  });

  it('leaves the error of a store as it is, which is no fault of a field', async () => {
    const { engine, start } = completer({ requestsPerMinute: 1 });
    await expect(start({ model: 'away' })).rejects.toMatchObject({ name: 'StoreError', store: 'prefixes' });
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 });
    expect((await collectCompletion(await start())).choices).toHaveLength(1);
  });

  it('says which limit was reached, and when to come again', async () => {
    const { start } = completer({ tokensPerMinute: 14 });
    const first = await start();
    expect(first.admission.tokens).toMatchObject({ limit: 14, remaining: 7 });
    await start();
    const refused = await start().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RateLimitError);
    expect(refused).toMatchObject({ code: 'rate_limit_exceeded', by: 'tokens', retryAfterMs: 30_000 });
  });

  it('leaves nothing in the engine when its client is gone', async () => {
    const { engine, start } = completer();
    const gone = new AbortController();
    const completion = await start({ max_tokens: 40 }, gone.signal);
    gone.abort();
    await expect(collectCompletion(completion)).rejects.toMatchObject({ code: 'generation_aborted' });
    await engine.idle();
    await expect(start({}, gone.signal)).rejects.toMatchObject({ name: 'AbortError' });
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 });
    engine.checkIntegrity();
  });
});

describe('startMany', () => {
  it('starts each of many, in the order asked, and lets one fail alone', async () => {
    const { many, start } = completer();
    const requests = [
      { custom_id: 'a', body },
      { custom_id: 'b', body: { ...body, frob: 1 } },
      { custom_id: 'c', body: { ...body, model: 'p' } },
    ];
    const { items } = await many(requests);
    expect(items.map(({ customId }) => customId)).toEqual(['a', 'b', 'c']);
    const refused = await start({ frob: 1 }).catch((error: unknown) => error);
    expect(items[1]?.error).toEqual(refused);
    const alone = await collectCompletion(await start());
    expect((await collectCompletion(items[0]!.completion!)).choices).toEqual(alone.choices);
  });

  it('lets others have a turn behind every sixteen', async () => {
    const { many } = completer();
    const refused = Array.from({ length: 64 }, (_, i) => ({ custom_id: `${i}`, body: { ...body, frob: 1 } }));
    await many(refused); // the first time, the check is loaded
    let turns = 0;
    const count = (): NodeJS.Immediate => setImmediate(() => (turns++, (next = count())));
    let next = count();
    expect((await many(refused)).items).toHaveLength(64);
    clearImmediate(next);
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it('lets an item repeat whether there is a stream, and say nothing else', async () => {
    const { many } = completer();
    const items = async (own: unknown, stream: boolean) =>
      (await many([{ custom_id: 'a', body: { ...body, stream: own } }], stream)).items[0];
    for (const own of [null, false, true]) expect((await items(own, true))?.completion?.params.stream).toBe(true);
    for (const own of [null, false]) expect((await items(own, false))?.completion?.params.stream).toBe(false);
    expect((await items(true, false))?.error).toMatchObject({ code: 'invalid_value', param: 'stream' });
    for (const stream of [true, false])
      expect((await items('yes', stream))?.error).toMatchObject({ code: 'invalid_type', param: 'stream' });
  });

  it('has the state of the limits after the last item was admitted, or refused by them', async () => {
    const { many } = completer({ tokensPerMinute: 20 });
    const request = (custom_id: string, fields: object = {}) => ({ custom_id, body: { ...body, ...fields } });
    expect((await many([request('a'), request('b'), request('c', { frob: 1 })])).admission?.tokens?.remaining).toBe(6);
    const all = await many([request('d')]);
    expect(all.items[0]?.error).toBeInstanceOf(RateLimitError);
    expect(all.admission?.tokens?.remaining).toBe(6);
    expect((await many([request('e', { frob: 1 })])).admission).toBeUndefined();
  });

  it('refuses the whole call where it is wrong itself', async () => {
    const { many } = completer();
    const request = (custom_id: string) => ({ custom_id, body });
    await expect(many([request('a'), request('a')])).rejects.toMatchObject({ param: 'requests[1].custom_id' });
    await expect(many(Array.from({ length: 65 }, (_, i) => request(`${i}`)))).rejects.toMatchObject({
      param: 'requests',
    });
  });
});
