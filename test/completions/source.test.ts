import { describe, expect, it } from 'vitest';

import { collectCompletion } from '../../src/completions/answer/response.js';
import { startCompletion, type CompletionDeps } from '../../src/completions/completion.js';
import { requestContext } from '../../src/completions/context.js';
import { Reservation } from '../../src/completions/plan/reservation.js';
import { countVirtualTokens } from '../../src/completions/plan/model.js';
import { roomOf } from '../../src/completions/plan/room.js';
import { OutputText } from '../../src/engine/output/output-text.js';
import { type PrefixKv, rowWidth, selfKv } from '../../src/prefix/kv.js';
import { NO_LIMITS } from '../../src/tenancy/limits.js';
import { MemoryRateLimiter } from '../../src/tenancy/memory-rate-limiter.js';
import { base as decoderOnly } from '../server/harness.js';
import { byteTokenizer, ScriptedEngine } from '../server/scripted-engine.js';

const site = (name: string, layers: number) => ({ name, layers, kvHeads: 1, headDim: 2 });
const base = {
  ...decoderOnly,
  sites: [site('encoder', 1), site('decoder', 2), site('cross', 2)],
  contextLength: 32,
  sourceLength: 16,
};
const generation = {
  ...{ decoderStart: [2], forcedBosTokenId: 0, forcedEosTokenId: null },
  ...{ noRepeatNgramSize: 3, minTokens: 4, maxTokens: 12 },
};
const rowsOf = (lengths: readonly number[]) =>
  new Map(base.sites.map((one, i) => [one.name, new Float32Array((lengths[i] ?? 0) * rowWidth(one))]));
const threeSites: PrefixKv = { length: 3, shift: 0, rows: rowsOf([5, 3, 4]) };
const softPrompt: PrefixKv = { length: 0, shift: 0, rows: new Map(), sourceEmbeddings: new Float32Array(6 * 2) };
const shifted: PrefixKv = { length: 4, shift: 4, rows: rowsOf([0, 4, 0]) };

/** Completions of a model with an encoder, and what they submit. */
function completer(kv: PrefixKv = threeSites) {
  const engine = new ScriptedEngine();
  const info = { name: 'p', placement: 'prefix', version: 'f'.repeat(64) };
  const library = { nameOf: async () => 'p', load: async () => ({ kv, info, source: 'memory' }) as never };
  const deps: CompletionDeps = {
    engine,
    tokenizer: byteTokenizer,
    library,
    base,
    generation,
    maxChoices: 8,
    now: Date.now,
  };
  const caller = { tenant: 't', created: null, limits: { ...NO_LIMITS, tokensPerMinute: 100 } };
  const limiter = new MemoryRateLimiter(() => 0);
  const start = async (fields: object) => {
    const body = { model: 'p', prompt: 'ab', ...fields };
    const reserved = { body, reservation: await Reservation.ofRequest(limiter, caller) };
    return startCompletion(deps, caller, reserved, requestContext(new AbortController().signal));
  };
  return { engine, start };
}

describe('a completion of a source', () => {
  it('is generated behind the decoder’s start as the checkpoint asks, and counts the source', async () => {
    const { engine, start } = completer();
    const completion = await start({ n: 2, return_token_ids: true });
    expect(completion.admission.tokens?.remaining).toBe(100 - 4 - 2 * 12);
    const { choices, usage } = await collectCompletion(completion);
    for (const request of engine.submitted)
      expect(request).toMatchObject({
        ...{ source: [1, 97, 98, 2], prompt: [2], maxTokens: 12, minTokens: 4 },
        ...{ forcedFirstToken: 0, forcedLastToken: undefined, noRepeatNgramSize: 3 },
      });
    expect(engine.submitted[0]?.promptGroup).toBe(engine.submitted[1]?.promptGroup);
    expect(choices.map(({ prompt_token_ids: ids }) => ids)).toEqual([[1, 97, 98, 2], [1, 97, 98, 2]]); // prettier-ignore
    expect(choices.map(({ token_ids: ids }) => ids?.length)).toEqual([12, 12]);
    expect(usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 24 });
    expect(usage.prompt_tokens_details.prefix_tokens).toBe(5);
  });

  it('is searched for with beams where the request asks for it', async () => {
    const { engine, start } = completer();
    await start({ use_beam_search: true, best_of: 2, min_tokens: 0, early_stopping: true, forced_bos_token_id: null });
    expect(engine.submitted).toHaveLength(2);
    expect(engine.submitted[0]).toMatchObject({ source: [1, 97, 98, 2], width: 2, earlyStopping: true });
    expect(engine.submitted[0]?.forcedFirstToken).toBeUndefined();
  });

  it.each<[PrefixKv, object, string | undefined]>([
    [threeSites, { prompt: 'x'.repeat(14), max_tokens: 31 }, undefined],
    [threeSites, { prompt: 'x'.repeat(15) }, 'prompt'],
    [threeSites, { max_tokens: 32 }, 'max_tokens'],
    [softPrompt, { prompt: 'x'.repeat(8), max_tokens: 31 }, undefined],
    [softPrompt, { prompt: 'x'.repeat(9) }, 'prompt'],
    [shifted, { prompt: 'x'.repeat(14), max_tokens: 27 }, undefined],
    [shifted, { max_tokens: 28 }, 'max_tokens'],
  ])('must fit the encoder and the decoder, case %#', async (kv, fields, param) => {
    const { engine, start } = completer(kv);
    if (param === undefined) await expect(start(fields)).resolves.toBeDefined();
    else await expect(start(fields)).rejects.toMatchObject({ code: 'context_length_exceeded', param });
    expect(engine.submitted).toHaveLength(param === undefined ? 1 : 0);
  });

  it('has no special token in its text', () => {
    const hides = (id: number) => id < 3;
    const textBytes = (id: number) => (hides(id) ? new Uint8Array() : byteTokenizer.tokenBytes(id));
    const text = new OutputText({ ...byteTokenizer, textBytes }, { stop: ['c'] });
    expect([0, 97, 1, 0xc3, 2, 0xa9, 99].map((id) => text.push(id, true))).toEqual(['', 'a', '', '', '', 'é', '']);
    expect(text.isStopped).toBe(true);
  });
});

describe('the virtual tokens of a prefix', () => {
  it('are those of its longest site, embeddings before the source among them', () => {
    expect(
      [threeSites, softPrompt, shifted, undefined].map((kv) =>
        countVirtualTokens(base, { prefix: kv && { kv, placement: 'prefix' } }),
      ),
    ).toEqual([5, 6, 4, 0]);
    const prefix = { kv: selfKv(2, new Float32Array(8)), placement: 'prefix' } as const;
    expect(countVirtualTokens(decoderOnly, { prefix })).toBe(2);
  });

  it('take no room of a decoder that does not count them, and all of it in a decoder-only model', () => {
    expect(roomOf(base, threeSites, generation)).toMatchObject({ virtualTokens: 0, source: { virtualTokens: 0 } });
    expect(roomOf(base, softPrompt, generation)).toMatchObject({ virtualTokens: 0, source: { virtualTokens: 6 } });
    expect(roomOf(decoderOnly, selfKv(2, new Float32Array(8)), undefined)).toEqual({
      contextLength: 64,
      virtualTokens: 2,
    });
    expect(() => roomOf(decoderOnly, undefined, generation)).toThrow('no sources');
  });
});
