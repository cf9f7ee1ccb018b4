import { describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { TokenBytes } from '../../src/tokenizer/text-stream.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { base, eventsOf, post, testServer } from './harness.js';
import { byteTokenizer } from './scripted-engine.js';

const url = '/v1/completions';
const minimal = { model: 'tiny', prompt: 'abcabc', max_tokens: 12, temperature: 0, return_token_ids: true };

/** Bytes, of which 1 and 2 are special tokens: <1> and <2>. */
const special = (id: number): boolean => id === 1 || id === 2;
const tokenBytes = (id: number): Uint8Array => (special(id) ? Buffer.from(`<${id}>`) : Uint8Array.of(id));
const tokenizer: typeof byteTokenizer & TokenBytes = {
  ...byteTokenizer,
  tokenBytes,
  textBytes: (id, skips = false) => (skips && special(id) ? new Uint8Array(0) : tokenBytes(id)),
};

/** Completions of the real engine on the fake runner, of which 4 may run and 4 wait. */
async function completer() {
  const { contextLength, vocabularySize } = base;
  const runner = new FakeRunner({ contextLength, vocabularySize, slots: 4 });
  const limits = { maxWaitingRequests: 4 };
  const engine = new Engine({ runner, tokenizer, eosTokenIds: [2], limits });
  const { app } = await testServer({}, { engine, tokenizer });
  const complete = (fields: object) => post(app, url, { ...minimal, ...fields });
  const choice = async (fields: object) => (await complete(fields)).body.choices[0];
  return { app, complete, choice };
}

/** `prompt_logprobs` as they come out of JSON. */
type PromptScores = readonly (Record<string, { logprob: number; rank: number; decoded_token: string }> | null)[];

/** Says some bytes in turn, whatever the model says. */
const saying = (...ids: number[]) => ({ logit_bias: Object.fromEntries(ids.map((id) => [id, 100])) });

describe('include_stop_str_in_output', () => {
  it('ends the text with the stop string, in a stream too', async () => {
    const { app, choice } = await completer();
    const plain = (await choice({}))?.token_ids ?? [];
    const text = Buffer.from(plain).toString('latin1');
    const letters = saying(98);
    expect(await choice({ ...letters, stop: 'bbb' })).toMatchObject({ text: '', finish_reason: 'stop' });
    const included = { ...letters, stop: ['x', 'bbb'], include_stop_str_in_output: true };
    expect(await choice(included)).toMatchObject({ text: 'bbb', finish_reason: 'stop', token_ids: [98, 98, 98] });
    expect(await choice({ ...included, min_tokens: 5 })).toMatchObject({ text: 'bbbbbb', finish_reason: 'stop' });
    const events = eventsOf((await post(app, url, { ...minimal, ...included, stream: true })).text);
    const pieces = events.map((event) => (event['choices'] as { text: string }[])[0]?.text);
    expect(pieces).toEqual(['b', 'b', 'b', '']); // nothing is held back
    expect(text).toHaveLength(12);
  });

  it('keeps the text of the token that ended it, but of a special one only where those are asked for', async () => {
    const { choice } = await completer();
    const stop = { stop_token_ids: [98], include_stop_str_in_output: true };
    expect(await choice({ ...saying(98), ...stop })).toMatchObject({ text: 'b', finish_reason: 'stop' });
    expect(await choice({ ...saying(98), ...stop, include_stop_str_in_output: false })).toMatchObject({ text: '' });
    const end = { ...saying(2), include_stop_str_in_output: true };
    expect(await choice(end)).toMatchObject({ text: '', token_ids: [2] });
    expect(await choice({ ...end, skip_special_tokens: false })).toMatchObject({ text: '<2>', token_ids: [2] });
    const beams = { use_beam_search: true, best_of: 2, include_stop_str_in_output: true };
    const found = (await choice({ ...beams, include_stop_str_in_output: false, max_tokens: 1 }))?.token_ids?.[0] ?? 0;
    const ended = await choice({ ...beams, stop_token_ids: [found], skip_special_tokens: false });
    expect(ended?.text.endsWith(Buffer.from(tokenBytes(found)).toString())).toBe(ended?.token_ids?.at(-1) === found);
  });
});

describe('skip_special_tokens', () => {
  it('leaves them out of what is generated, and out of nothing else', async () => {
    const { choice } = await completer();
    const special = { ...saying(1), max_tokens: 2, prompt: [97, 1], echo: true, logprobs: 0 };
    expect((await choice(special))?.text).toBe('a<1><1><1>');
    expect((await choice({ ...special, skip_special_tokens: false }))?.text).toBe('a<1><1><1>');
    const skipped = await choice({ ...special, skip_special_tokens: true });
    expect(skipped).toMatchObject({ text: 'a<1>', token_ids: [1, 1] });
    expect(skipped?.logprobs).toMatchObject({ tokens: ['a', '<1>', '<1>', '<1>'], text_offset: [0, 1, 4, 4] });
  });
});

describe('bad_words', () => {
  it('are not generated, with a space before them or without', async () => {
    const { choice, complete } = await completer();
    const two = { logit_bias: { '98': 100, '99': 80 } };
    expect((await choice({ ...two, max_tokens: 4 }))?.text).toBe('bbbb');
    expect((await choice({ ...two, max_tokens: 4, bad_words: ['b'] }))?.text).toBe('cccc');
    expect((await choice({ ...two, max_tokens: 5, bad_words: ['  bb'] }))?.text).toBe('bcbcb');
    for (const bad_words of [['   '], Array.from({ length: 129 }, (_, i) => `w${i}`), ['']])
      expect(await complete({ bad_words })).toMatchObject({ status: 400, body: { error: { param: 'bad_words' } } });
    expect((await complete({ bad_words: [] })).status).toBe(200);
  });
});

describe('truncate_prompt_tokens', () => {
  it('reads the end of each prompt, as the end alone is read', async () => {
    const { complete } = await completer();
    const { body } = await complete({ prompt: ['abcabc', 'xy'], truncate_prompt_tokens: 3 });
    const alone = await complete({ prompt: ['abc', 'xy'] });
    expect(body.choices).toEqual(alone.body.choices);
    expect(body.usage).toMatchObject({ prompt_tokens: 5 });
    expect((await complete({ prompt: [97, 98, 99], truncate_prompt_tokens: 1 })).body.usage.prompt_tokens).toBe(1);
  });

  it('reads what fits, however long the text is', async () => {
    const { choice } = await completer();
    const long = 'ab cd '.repeat(50_000);
    const last = [...Buffer.from(long.slice(-52))];
    expect((await choice({ prompt: long, truncate_prompt_tokens: -1 }))?.prompt_token_ids).toEqual(last);
    expect((await choice({ prompt: long, truncate_prompt_tokens: 52 }))?.prompt_token_ids).toEqual(last);
  });

  it.each([
    [{ truncate_prompt_tokens: 53 }, 'truncate_prompt_tokens', 'invalid_value'],
    [{ truncate_prompt_tokens: 0 }, 'truncate_prompt_tokens', 'invalid_value'],
    [{ truncate_prompt_tokens: -2 }, 'truncate_prompt_tokens', 'invalid_value'],
    [{ truncate_prompt_tokens: -1, max_tokens: 64 }, 'prompt', 'context_length_exceeded'],
    [{ truncate_prompt_tokens: 1, prompt: '' }, 'prompt', 'invalid_value'],
    [{ truncate_prompt_tokens: 1, prompt: 'a'.repeat(40_000) }, 'truncate_prompt_tokens', 'invalid_value'],
  ])('%# is refused', async (fields, param, code) => {
    const { complete } = await completer();
    expect(await complete(fields)).toMatchObject({ status: 400, body: { error: { param, code } } });
  });
});

describe('add_special_tokens', () => {
  it('puts them around a text, and around no token ids', async () => {
    const { choice } = await completer();
    const ids = async (fields: object) => (await choice(fields))?.prompt_token_ids;
    expect(await ids({ prompt: 'ab' })).toEqual([97, 98]);
    expect(await ids({ prompt: 'ab', add_special_tokens: false })).toEqual([97, 98]);
    expect(await ids({ prompt: 'ab', add_special_tokens: true })).toEqual([1, 97, 98, 2]);
    expect(await ids({ prompt: [97], add_special_tokens: true })).toEqual([97]);
    expect(await ids({ prompt: 'abc', add_special_tokens: true, truncate_prompt_tokens: 4 })).toEqual([1, 98, 99, 2]);
  });
});

describe('prompt_logprobs', () => {
  it('scores the prompt as echo does, with ranks, in each choice', async () => {
    const { choice, complete } = await completer();
    const echoed = await choice({ echo: true, logprobs: 2, max_tokens: 1 });
    const { body } = await complete({ prompt_logprobs: 2, max_tokens: 1, n: 2 });
    expect(body.choices[0]).not.toHaveProperty('logprobs.tokens');
    expect(body.choices[1]?.prompt_logprobs).toEqual(body.choices[0]?.prompt_logprobs);
    const scores = (body.choices[0]?.prompt_logprobs ?? []) as unknown as PromptScores;
    expect(scores).toHaveLength(6);
    expect(scores[0]).toBeNull();
    const prompt = [...Buffer.from(minimal.prompt)];
    const own = scores.map((entry, i) => entry?.[String(prompt[i])] ?? null);
    expect(own.map((one) => one?.logprob ?? null)).toEqual(echoed?.logprobs?.token_logprobs.slice(0, 6));
    expect(own[1]).toMatchObject({ decoded_token: 'b' });
    const all = await choice({ prompt: prompt.slice(0, 1), max_tokens: 1, logprobs: 20, ...saying(98) });
    const better = Object.values(all?.logprobs?.top_logprobs[0] ?? {}).filter((one) => one >= (own[1]?.logprob ?? 0));
    if (better.length < 20) expect(own[1]?.rank).toBe(better.length);
    else expect(own[1]?.rank).toBeGreaterThanOrEqual(20);
    for (const entry of scores.slice(1)) {
      const best = Object.values(entry ?? {}).sort((a, b) => a.rank - b.rank);
      expect(best.slice(0, 2).map(({ rank }) => rank)).toEqual([1, 2]);
      expect(best.length).toBeLessThanOrEqual(3);
    }
  });

  it('is apart from echo, has nothing of one token, and goes with beams', async () => {
    const { choice } = await completer();
    const both = await choice({ echo: true, logprobs: 1, prompt_logprobs: 3, max_tokens: 1 });
    const echoed = await choice({ echo: true, logprobs: 1, max_tokens: 1 });
    expect(both).toMatchObject({ ...echoed });
    expect(Object.keys(both?.prompt_logprobs?.[1] ?? {}).length).toBeGreaterThanOrEqual(3);
    expect(await choice({ prompt: 'a', prompt_logprobs: 0 })).toMatchObject({ prompt_logprobs: [null] });
    expect(await choice({ prompt_logprobs: 0, max_tokens: 0 })).toMatchObject({ text: '' });
    const beams = await choice({ use_beam_search: true, n: 2, prompt_logprobs: 0 });
    expect(beams?.prompt_logprobs?.map((entry) => entry && Object.keys(entry))).toEqual([null, ['98'], ['99'], ['97'], ['98'], ['99']]); // prettier-ignore
  });

  it.each([{ prompt_logprobs: -1 }, { prompt_logprobs: 21 }, { prompt_logprobs: 0, stream: true }])(
    '%j is refused',
    async (fields) => {
      const { complete } = await completer();
      expect(await complete(fields)).toMatchObject({ status: 400, body: { error: { param: 'prompt_logprobs' } } });
    },
  );
});

describe('continuous_usage_stats', () => {
  it('puts the usage so far of the choice and its prompt into every chunk', async () => {
    const { app } = await completer();
    const options = { include_usage: true, continuous_usage_stats: true };
    const body = { ...minimal, prompt: ['ab', 'abc'], n: 2, max_tokens: 3, stream: true, stream_options: options };
    const events = eventsOf((await post(app, url, body)).text);
    const counts = events.map(({ usage }) => usage as Record<string, number>);
    expect(counts.at(-1)).toMatchObject({ prompt_tokens: 5, completion_tokens: 12, total_tokens: 17 });
    for (const index of [0, 1, 2, 3]) {
      const own = events.filter((event) => (event['choices'] as { index: number }[])[0]?.index === index);
      const promptTokens = index < 2 ? 2 : 3;
      const expected = [1, 2, 3, 3].map((tokens) => [promptTokens, tokens, promptTokens + tokens]);
      const usages = own.map(({ usage }) => usage as Record<string, number>);
      expect(usages.map((one) => [one['prompt_tokens'], one['completion_tokens'], one['total_tokens']])).toEqual(
        expected,
      );
    }
  });

  it('false is as left out, and true needs include_usage', async () => {
    const { app, complete } = await completer();
    const off = { stream: true, stream_options: { include_usage: true, continuous_usage_stats: false } };
    const events = eventsOf((await post(app, url, { ...minimal, ...off })).text);
    expect(events.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    const alone = await complete({ stream: true, stream_options: { continuous_usage_stats: true } });
    expect(alone.body.error).toMatchObject({ param: 'stream_options.continuous_usage_stats', code: 'invalid_value' });
  });
});

describe('other fields of clients', () => {
  it('labels have no effect', async () => {
    const { choice } = await completer();
    const labels = [
      { metadata: { a: 'b' } },
      { metadata: null, store: null, service_tier: null, priority: null, max_completion_tokens: null },
      { store: true },
      { store: false, safety_identifier: 'me', prompt_cache_key: 'k', service_tier: 'default', user: 'u' },
      { service_tier: 'auto', priority: 0, include_stop_str_in_output: false },
    ];
    const plain = await choice({});
    for (const label of labels) expect(await choice(label)).toEqual(plain);
  });

  it('max_completion_tokens is max_tokens', async () => {
    const { complete, choice } = await completer();
    expect((await choice({ max_tokens: undefined, max_completion_tokens: 3 }))?.token_ids).toHaveLength(3);
    expect((await choice({ max_tokens: null, max_completion_tokens: 0 }))?.token_ids).toHaveLength(0);
    expect((await choice({ max_tokens: 3, max_completion_tokens: 3 }))?.token_ids).toHaveLength(3);
    const both = await complete({ max_tokens: 3, max_completion_tokens: 4 });
    expect(both.body.error).toMatchObject({ param: 'max_completion_tokens', code: 'invalid_value' });
  });

  it.each([
    [{ priority: 1 }, 'priority', 'unsupported_parameter'],
    [{ service_tier: 'flex' }, 'service_tier', 'invalid_value'],
    [{ metadata: { a: 1 } }, 'metadata.a', 'invalid_type'],
    [{ store: 'yes' }, 'store', 'invalid_type'],
  ])('%j is refused by name', async (fields, param, code) => {
    const { complete } = await completer();
    expect((await complete(fields)).body.error).toMatchObject({ param, code });
  });
});

describe('a request that an idle server has no room for', () => {
  it.each([
    [{ n: 64 }, 'n'],
    [{ n: 2, best_of: 9 }, 'best_of'],
    [{ prompt: Array.from({ length: 9 }, () => 'a') }, 'prompt'],
    [{ prompt: ['a', 'b', 'c'], n: 3 }, 'n'],
  ])('%j is refused for good', async (fields, param) => {
    const { app, complete } = await completer();
    const { status, headers, body } = await complete({ ...fields, temperature: 1 });
    expect([status, body.error.param, body.error.code]).toEqual([400, param, 'invalid_value']);
    expect(body.error.message).toContain('only 8 of them');
    expect([headers['x-should-retry'], headers['retry-after']]).toEqual(['false', undefined]);
    const requests = [{ custom_id: 'a', body: { ...minimal, ...fields, temperature: 1 } }];
    const { body: many } = await post(app, '/v1/batch/completions', { requests });
    expect(many.data[0]?.response).toMatchObject({ status_code: 400, body: { error: { param } } });
  });

  it('is not one that finds others waiting', async () => {
    const { complete } = await completer();
    const [first, second] = await Promise.all([complete({ n: 8, temperature: 1 }), complete({ n: 8, temperature: 1 })]);
    expect(first.status).toBe(200);
    expect([second.status, second.headers['retry-after']]).toEqual([503, '1']);
    expect(second.headers).not.toHaveProperty('x-should-retry');
  });
});

it('a prompt past the context is told as OpenAI tells it', async () => {
  const { complete } = await completer();
  const { body } = await complete({ prompt: 'a'.repeat(65) });
  expect(body.error).toMatchObject({ code: 'context_length_exceeded' });
  expect(body.error.message).toMatch(/^This model's maximum context length is 64 tokens, but /);
});
