import { describe, expect, it, onTestFinished, vi } from 'vitest';

import type { ChunkChoice, Logprobs } from '../../src/completions/answer/schema.js';
import { byteTokenizer } from './scripted-engine.js';
import { eventsOf, post, sharedServer, testServer } from './harness.js';

const url = '/v1/completions';
const minimal = { model: 'tiny', prompt: 'abc' };

describe('POST /v1/completions', () => {
  it('answers as OpenAI does', async () => {
    const { app } = await testServer();
    const { status, headers, body } = await post(app, url, { ...minimal, max_tokens: 4 });
    expect(status).toBe(200);
    expect(headers['x-request-id']).toMatch(/^[\w.-]{1,128}$/);
    expect(body).toEqual({
      id: expect.stringMatching(/^cmpl-[0-9a-f]{32}$/) as string,
      object: 'text_completion',
      created: 1_700_000_000,
      model: 'tiny',
      choices: [{ text: 'abca', index: 0, logprobs: null, finish_reason: 'length' }],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 4,
        total_tokens: 7,
        prompt_tokens_details: { prefix_tokens: 0, cached_tokens: 0 },
      },
    });
  });

  it('hands every parameter to the engine', async () => {
    const { app, engine } = await testServer();
    const parameters = {
      max_tokens: 3,
      min_tokens: 2,
      no_repeat_ngram_size: 4,
      temperature: 0,
      top_p: 0.5,
      top_k: 7,
      seed: 0,
      stop: ['\n', 'x'],
      stop_token_ids: [9],
      ignore_eos: true,
      logprobs: 0,
      user: 'someone',
    };
    await post(app, url, { ...minimal, ...parameters });
    expect(engine.submitted).toEqual([
      {
        tenant: 'default',
        tenantCreated: null,
        share: { weight: 1, queueShare: 1 },
        promptGroup: undefined,
        prompt: [97, 98, 99],
        prefix: undefined,
        sampling: { temperature: 0, topP: 0.5, topK: 7, minP: 0, seed: 0 },
        choice: 0,
        maxTokens: 3,
        minTokens: 2,
        noRepeatNgramSize: 4,
        stop: ['\n', 'x'],
        stopTokenIds: [9],
        ignoreEos: true,
        logprobs: 0,
        includesStop: false,
      },
    ]);
  });

  it('makes n choices of each prompt, in order, and counts each prompt once', async () => {
    const { app } = await testServer();
    const { body } = await post(app, url, { ...minimal, prompt: ['ab', 'xyz'], n: 2, max_tokens: 2 });
    expect(body.choices.map((c) => [c.index, c.text])).toEqual([
      [0, 'ab'],
      [1, 'ab'],
      [2, 'xy'],
      [3, 'xy'],
    ]);
    expect(body.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 8, total_tokens: 13 });
  });

  it('generates nothing for max_tokens 0', async () => {
    const { app } = await testServer();
    const { body } = await post(app, url, { ...minimal, max_tokens: 0, return_token_ids: true });
    expect(body.choices).toEqual([
      { text: '', index: 0, logprobs: null, finish_reason: 'length', prompt_token_ids: [97, 98, 99], token_ids: [] },
    ]);
  });

  it('writes log-probabilities in OpenAI’s lists', async () => {
    const { app } = await testServer();
    const { body } = await post(app, url, { ...minimal, prompt: 'aé', max_tokens: 3, logprobs: 1 });
    expect(body.choices[0]?.logprobs).toEqual({
      tokens: ['a', String.raw`bytes:\xc3`, String.raw`bytes:\xa9`],
      token_logprobs: [-0.25, -0.25, -0.25],
      top_logprobs: [{ a: -0.25 }, { [String.raw`bytes:\xc3`]: -0.25 }, { [String.raw`bytes:\xa9`]: -0.25 }],
      text_offset: [0, 1, 1],
    });
    const lines = await post(app, url, { ...minimal, prompt: '\n\r\u2028', max_tokens: 3, logprobs: 1 });
    expect(lines.body.choices[0]?.logprobs?.top_logprobs.slice(0, 2)).toEqual([{ '\n': -0.25 }, { '\r': -0.25 }]);
  });
});

describe('echo', () => {
  it('begins the text with the prompt and scores it', async () => {
    const { app } = await testServer();
    const { body } = await post(app, url, { ...minimal, prompt: 'aé', max_tokens: 2, echo: true, logprobs: 1 });
    const [first, half, other] = ['a', String.raw`bytes:\xc3`, String.raw`bytes:\xa9`] as const;
    expect(body.choices[0]).toMatchObject({
      text: 'aéa\uFFFD',
      logprobs: {
        tokens: [first, half, other, first, half],
        token_logprobs: [null, -1, -2, -0.25, -0.25],
        top_logprobs: [null, { [half]: -1 }, { [other]: -2 }, { [first]: -0.25 }, { [half]: -0.25 }],
        text_offset: [0, 1, 1, 2, 3],
      },
    });
    expect(body.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 2 });
  });

  it.each([0, 1])('with max_tokens 0 only scores the prompt, logprobs %i', async (logprobs) => {
    const { app } = await testServer();
    const { body } = await post(app, url, { ...minimal, max_tokens: 0, echo: true, logprobs });
    expect(body.choices).toMatchObject([
      { text: 'abc', finish_reason: 'length', logprobs: { token_logprobs: [null, -1, -2], text_offset: [0, 1, 2] } },
    ]);
    const plain = await post(app, url, { ...minimal, max_tokens: 0, echo: true });
    expect(plain.body.choices).toMatchObject([{ text: 'abc', finish_reason: 'length', logprobs: null }]);
    expect(plain.body.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 0 });
  });
});

describe('POST /v1/completions with stream', () => {
  const server = sharedServer();
  const options = [
    {},
    { logprobs: 1 },
    { echo: true },
    { echo: true, logprobs: 2, return_token_ids: true },
    { return_token_ids: true },
    { n: 3, logprobs: 0, return_token_ids: true },
  ];

  it.each(options)('says the same as without, %j', async (option) => {
    const { app } = server();
    const body = { ...minimal, prompt: ['héé', 'y'], max_tokens: 5, ...option };
    const whole = (await post(app, url, body)).body;
    const stream = await post(app, url, {
      ...body,
      stream: true,
      stream_options: { include_usage: true, include_obfuscation: false },
    });
    expect(stream.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(stream.headers['x-request-id']).toBeDefined();
    expect(joinChunks(eventsOf(stream.text))).toEqual({ choices: whole.choices, usage: whole.usage });
  });

  it('has OpenAI’s chunks', async () => {
    const { app } = await testServer();
    const { text } = await post(app, url, { ...minimal, max_tokens: 1, stream: true });
    const [first, last, ...more] = eventsOf(text);
    const head = { id: first?.['id'], object: 'text_completion', created: 1_700_000_000, model: 'tiny' };
    expect(first).toEqual({ ...head, choices: [{ text: 'a', index: 0, logprobs: null, finish_reason: null }] });
    expect(last).toEqual({ ...head, choices: [{ text: '', index: 0, logprobs: null, finish_reason: 'length' }] });
    expect(more).toEqual([]);
  });

  it('sends no chunk for half a character', async () => {
    const { app } = await testServer();
    const { text } = await post(app, url, { ...minimal, prompt: 'é', max_tokens: 2, stream: true });
    expect(eventsOf(text)).toHaveLength(2);
  });

  it('refuses before the status is out', async () => {
    const { app, engine } = await testServer();
    engine.capacity = 1;
    const { status, headers, body } = await post(app, url, { ...minimal, n: 2, stream: true });
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('1');
    expect(body.error).toMatchObject({ code: 'queue_full', type: 'server_error', param: null });
    expect(engine).toMatchObject({ cancelled: 1, running: 0 });
  });

  it('puts a later failure into the stream, ends it, and cancels the other choices', async () => {
    const { app, engine, log } = await testServer();
    engine.script = async ({ choice }, step) => {
      if (step === 1 && choice === 0) throw new Error('secret detail');
      if (step === 1) await new Promise(() => undefined);
    };
    const { status, text } = await post(app, url, { ...minimal, n: 2, stream: true });
    expect(status).toBe(200);
    expect(eventsOf(text).at(-1)).toEqual({
      error: { message: expect.any(String) as string, type: 'server_error', param: null, code: 'internal_error' },
    });
    expect(text).not.toContain('secret detail');
    // The log has the place, but not what an error of nobody's says.
    expect(log()).toMatch(/"msg":"request failed"/);
    expect(log()).toMatch(/"stack":"at ScriptedEngine/);
    expect(log()).not.toContain('secret detail');
    expect(engine.running).toBe(0);
  });
});

describe('a failure without a stream', () => {
  it('is a 500 whose text is fixed', async () => {
    const { app, engine, log } = await testServer();
    engine.script = () => {
      throw new Error('secret detail');
    };
    const { status, body } = await post(app, url, { ...minimal, n: 3 });
    expect(status).toBe(500);
    expect(body.error).toEqual({
      message: 'The server failed. Its log has the details.',
      type: 'server_error',
      param: null,
      code: 'internal_error',
    });
    // The log has the place, but not what an error of nobody's says.
    expect(log()).toMatch(/"msg":"request failed"/);
    expect(log()).toMatch(/"stack":"at ScriptedEngine/);
    expect(log()).not.toContain('secret detail');
    expect(engine.running).toBe(0);
  });
});

describe('refusals', () => {
  const server = sharedServer();

  it.each([
    [{ temperature: 2.1 }, 'temperature', 'invalid_value', /<= 2/],
    [{ temperature: -0.1 }, 'temperature', 'invalid_value', />= 0/],
    [{ temperature: '1' }, 'temperature', 'invalid_type', /number or null/],
    [{ top_p: 1.1 }, 'top_p', 'invalid_value', /<= 1/],
    [{ top_k: -2 }, 'top_k', 'invalid_value', />= -1/],
    [{ n: 0 }, 'n', 'invalid_value', />= 1/],
    [{ n: 129 }, 'n', 'invalid_value', /<= 128/],
    [{ n: 1.5 }, 'n', 'invalid_type', /integer/],
    [{ max_tokens: -1 }, 'max_tokens', 'invalid_value', />= 0/],
    [{ max_tokens: true }, 'max_tokens', 'invalid_type', /integer/],
    [{ min_tokens: 17 }, 'min_tokens', 'invalid_value', /at most/],
    [{ logprobs: 21 }, 'logprobs', 'invalid_value', /<= 20/],
    [{ seed: 0.5 }, 'seed', 'invalid_type', /integer/],
    [{ stop: '' }, 'stop', 'invalid_value', /not empty/],
    [{ stop: ['1', '2', '3', '4', '5'] }, 'stop', 'invalid_value', /up to 4/],
    [{ stop: 5 }, 'stop', 'invalid_value', /up to 4/],
    [{ stop_token_ids: [-1] }, 'stop_token_ids', 'invalid_value', />= 0/],
    [{ stop_token_ids: [255, 256] }, 'stop_token_ids', 'invalid_value', /256.*0 to 255/],
    [{ stop_token_ids: [256], use_beam_search: true }, 'stop_token_ids', 'invalid_value', /256.*0 to 255/],
    [{ stream: 'yes' }, 'stream', 'invalid_type', /boolean/],
    [{ stream_options: { include_usage: true } }, 'stream_options', 'invalid_value', /stream/],
    [{ stream: true, stream_options: { foo: 1 } }, 'stream_options.foo', 'unknown_parameter', /foo/],
    [
      { stream: true, stream_options: { include_obfuscation: true } },
      'stream_options.include_obfuscation',
      'unsupported_parameter',
      /include_obfuscation/,
    ],
    [{ user: 5 }, 'user', 'invalid_type', /string/],
    [{ frobnicate: 1 }, 'frobnicate', 'unknown_parameter', /frobnicate/],
    [{ suffix: 'x' }, 'suffix', 'unsupported_parameter', /suffix/],
    [{ echo: 1 }, 'echo', 'invalid_type', /boolean/],
    [{ n: 2, best_of: 1 }, 'best_of', 'invalid_value', /at least 'n', which is 2/],
    [{ best_of: 2, stream: true }, 'best_of', 'invalid_value', /streamed/],
    [{ best_of: 0 }, 'best_of', 'invalid_value', />= 1/],
    [{ presence_penalty: 2.1 }, 'presence_penalty', 'invalid_value', /<= 2/],
    [{ frequency_penalty: -2.1 }, 'frequency_penalty', 'invalid_value', />= -2/],
    [{ repetition_penalty: 0 }, 'repetition_penalty', 'invalid_value', /> 0/],
    [{ logit_bias: { '256': 1 } }, 'logit_bias', 'invalid_value', /0 to 255/],
    [{ logit_bias: { '1': 101 } }, 'logit_bias', 'invalid_value', /<= 100/],
    [{ logit_bias: { '1': null } }, 'logit_bias', 'invalid_type', /number/],
    [{ min_p: 1.1 }, 'min_p', 'invalid_value', /<= 1/],
    [{ prompt: '' }, 'prompt', 'invalid_value', /one token/],
    [{ prompt: [] }, 'prompt', 'invalid_value', /array/],
    [{ prompt: null }, 'prompt', 'invalid_value', /array/],
    [{ prompt: [1, 'a'] }, 'prompt', 'invalid_value', /array/],
    [{ prompt: [256] }, 'prompt', 'invalid_value', /0 to 255/],
    [{ prompt: undefined }, 'prompt', 'missing_parameter', /required/],
    [{ model: undefined }, 'model', 'missing_parameter', /required/],
    [{ model: null }, 'model', 'invalid_type', /string/],
    [{ max_tokens: 62 }, 'prompt', 'context_length_exceeded', /64 tokens.*65/],
  ])('%j', async (change, param, code, message) => {
    const { app, engine } = server();
    const { status, body } = await post(app, url, { ...minimal, ...change });
    expect(status).toBe(400);
    expect(body.error).toEqual({
      message: expect.stringMatching(message) as string,
      type: 'invalid_request_error',
      param,
      code,
    });
    expect(engine.submitted).toEqual([]);
  });

  it('takes null of an optional field as not given', async () => {
    const { app } = await testServer();
    const nulls = Object.fromEntries(
      [
        'max_tokens',
        'temperature',
        'top_p',
        'n',
        'stop',
        'seed',
        'logprobs',
        'user',
        'stream',
        'stream_options',
        'top_k',
      ]
        .concat(['stop_token_ids', 'ignore_eos', 'min_tokens', 'return_token_ids', 'echo', 'suffix', 'best_of'])
        .concat(['presence_penalty', 'frequency_penalty', 'repetition_penalty', 'logit_bias', 'min_p'])
        .map((field) => [field, null]),
    );
    expect((await post(app, url, { ...minimal, ...nulls })).body.choices[0]?.text).toHaveLength(16);
  });

  it('refuses more choices than one request may have', async () => {
    const { app } = await testServer({ maxChoices: 3 });
    const { body } = await post(app, url, { ...minimal, n: 4 });
    expect(body.error).toMatchObject({ param: 'n', message: expect.stringContaining('3 choices') as string });
  });

  it('tokenizes nothing of a request that has too many choices', async () => {
    const { app } = await testServer({ maxChoices: 3 });
    const encode = vi.spyOn(byteTokenizer, 'encode');
    onTestFinished(() => encode.mockRestore());
    const { body } = await post(app, url, { ...minimal, prompt: ['a', 'b', 'c', 'd'] });
    expect(body.error).toMatchObject({ param: 'prompt', message: expect.stringContaining('3 choices') as string });
    expect(encode).not.toHaveBeenCalled();
  });

  it('gives tokens and texts the same answer', async () => {
    const { app } = await testServer();
    const prompts = ['abc', ['abc'], byteTokenizer.encode('abc'), [byteTokenizer.encode('abc')]];
    const answers = await Promise.all(prompts.map((prompt) => post(app, url, { ...minimal, prompt })));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body.choices))).size).toBe(1);
  });
});

interface Chunk {
  readonly choices: readonly ChunkChoice[];
  readonly usage: unknown;
}

/** Puts the chunks of a stream together to what a plain answer has. */
function joinChunks(events: Record<string, unknown>[]): { choices: ChunkChoice[]; usage: unknown } {
  const chunks = events as unknown as Chunk[];
  const choices: ChunkChoice[] = [];
  for (const chunk of chunks.flatMap((event) => event.choices)) {
    const before = choices[chunk.index];
    choices[chunk.index] = before ? joinTwo(before, chunk) : chunk;
  }
  return { choices, usage: chunks.at(-1)?.usage };
}

function joinTwo(before: ChunkChoice, chunk: ChunkChoice): ChunkChoice {
  return {
    ...before,
    text: before.text + chunk.text,
    finish_reason: chunk.finish_reason,
    logprobs: before.logprobs && chunk.logprobs ? joinLists(before.logprobs, chunk.logprobs) : before.logprobs,
    ...(chunk.token_ids && { token_ids: [...(before.token_ids ?? []), ...chunk.token_ids] }),
  };
}

function joinLists(before: Logprobs, after: Logprobs): Logprobs {
  return {
    tokens: [...before.tokens, ...after.tokens],
    token_logprobs: [...before.token_logprobs, ...after.token_logprobs],
    top_logprobs: [...before.top_logprobs, ...after.top_logprobs],
    text_offset: [...before.text_offset, ...after.text_offset],
  };
}
