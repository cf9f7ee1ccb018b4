import { describe, expect, it } from 'vitest';

import { base as decoderOnly, eventsOf, post, testServer } from './harness.js';

const site = (name: string) => ({ name, layers: 1, kvHeads: 1, headDim: 2 });
const base = { ...decoderOnly, sites: ['encoder', 'decoder', 'cross'].map(site), contextLength: 32, sourceLength: 16 };
const generation = {
  ...{ decoderStart: [100], forcedBosTokenId: 0, forcedEosTokenId: 2 },
  ...{ noRepeatNgramSize: 3, minTokens: 1, maxTokens: 5 },
};
const minimal = { model: 'tiny', prompt: 'abc', return_token_ids: true };

/** A server whose engine says the tokens that the decoder starts with again and again. */
const serve = () => testServer({}, { base, generation });

describe('a completion by a model with an encoder', () => {
  it('reads the prompt and writes behind the decoder’s start', async () => {
    const { app, engine } = await serve();
    const { status, body } = await post(app, '/v1/completions', minimal);
    expect(status).toBe(200);
    expect(body.choices).toMatchObject([
      { text: 'ddddd', prompt_token_ids: [1, 97, 98, 99, 2], token_ids: Array(5).fill(100), finish_reason: 'length' },
    ]);
    expect(body.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 });
    expect(engine.submitted).toMatchObject([{ source: [1, 97, 98, 99, 2], prompt: [100], forcedFirstToken: 0 }]);
  });

  it('streams, and is one of many', async () => {
    const { app } = await serve();
    const events = eventsOf((await post(app, '/v1/completions', { ...minimal, max_tokens: 2, stream: true })).text);
    const chunks = events as unknown as { choices: { text: string; prompt_token_ids?: number[] }[] }[];
    expect(chunks.map(({ choices }) => choices[0]?.text).join('')).toBe('dd');
    expect(chunks[0]?.choices[0]?.prompt_token_ids).toEqual([1, 97, 98, 99, 2]);
    const requests = [
      { custom_id: 'a', body: { ...minimal, prompt: [7, 8] } },
      { custom_id: 'b', body: { ...minimal, echo: true } },
    ];
    const [good, bad] = (await post(app, '/v1/batch/completions', { requests })).body.data;
    expect(good?.response).toMatchObject({ status_code: 200, body: { usage: { prompt_tokens: 2 } } });
    expect(bad?.response).toMatchObject({ status_code: 400, body: { error: { param: 'echo' } } });
  });

  it.each([
    [{ prompt: 'x'.repeat(15) }, 'context_length_exceeded', 'prompt'],
    [{ prompt: 'x'.repeat(1000) }, 'context_length_exceeded', 'prompt'],
    [{ max_tokens: 32 }, 'context_length_exceeded', 'max_tokens'],
    [{ echo: true }, 'unsupported_parameter', 'echo'],
    [{ suffix: 'x' }, 'unsupported_parameter', 'suffix'],
    [{ forced_bos_token_id: 256 }, 'invalid_value', 'forced_bos_token_id'],
    [{ forced_eos_token_id: -1 }, 'invalid_value', 'forced_eos_token_id'],
    [{ forced_eos_token_id: '2' }, 'invalid_type', 'forced_eos_token_id'],
    [{ no_repeat_ngram_size: -1 }, 'invalid_value', 'no_repeat_ngram_size'],
    [{ early_stopping: true }, 'invalid_value', 'early_stopping'],
    [{ use_beam_search: true, early_stopping: {} }, 'invalid_value', 'early_stopping'],
  ])('refuses %j by name', async (fields, code, param) => {
    const { app, engine } = await serve();
    const { status, body } = await post(app, '/v1/completions', { ...minimal, ...fields });
    expect([status, body.error.code, body.error.param]).toEqual([400, code, param]);
    expect(engine.submitted).toEqual([]);
  });

  it('has no fields of an encoder without one', async () => {
    const { app, engine } = await testServer();
    const { status, body } = await post(app, '/v1/completions', { ...minimal, forced_bos_token_id: 0 });
    expect([status, body.error.code, body.error.param]).toEqual([400, 'unsupported_parameter', 'forced_bos_token_id']);
    await post(app, '/v1/completions', { ...minimal, no_repeat_ngram_size: 2, forced_bos_token_id: null });
    expect(engine.submitted).toMatchObject([{ prompt: [97, 98, 99], noRepeatNgramSize: 2 }]);
    expect(engine.submitted[0]?.source).toBeUndefined();
  });
});
