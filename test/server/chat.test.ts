import OpenAI from 'openai';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { ChatTemplateError, type ChatTemplate } from '../../src/tokenizer/chat-template.js';
import { TemplateSandbox } from '../../src/tokenizer/template-sandbox.js';
import { base, eventsOf, listen, post, testServer } from './harness.js';
import { adapterFiles, testLibrary } from './prefix-library.js';

/** `u:Hi;a:` of a user's "Hi". */
const chatTemplate: ChatTemplate = {
  render: (messages, opensAnswer) => {
    if (messages[0]?.role === 'assistant') throw new ChatTemplateError('The user speaks first.');
    return `${messages.map(({ role, content, name = '' }) => `${role[0]}${name}:${content};`).join('')}${opensAnswer ? 'a:' : ''}`;
  },
};
const url = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'Hi' }];
const request = { model: 'tiny', messages, max_completion_tokens: 4 };

async function chatServer(deps?: Parameters<typeof testServer>[1]) {
  const server = await testServer({}, deps ?? { library: await testLibrary(), chatTemplate });
  const ask = (fields: object) => post(server.app, url, { ...request, ...fields });
  return { ...server, ask };
}

describe("a prefix's own chat template", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  /** Uploads an adapter with a template, or without one. */
  const push = (library: Awaited<ReturnType<typeof testLibrary>>, name: string, template?: string) => {
    const { config, model } = adapterFiles(3);
    return library.upload('default', {
      name,
      config: bytes(config),
      model,
      ...(template && { template: bytes(template) }),
    });
  };
  const prompts = ({ engine }: Awaited<ReturnType<typeof chatServer>>) =>
    engine.submitted.map(({ prompt }) => Buffer.from(prompt).toString());

  it('makes the prompts of its conversations, and of no others', async () => {
    const library = await testLibrary();
    await push(library, 'plain');
    await push(library, 'own', '{{ bos_token }}{{ messages[0].content }}!');
    const server = await chatServer({ library, chatTemplate });
    for (const model of ['own', 'plain', 'tiny']) expect((await server.ask({ model })).status).toBe(200);
    expect(prompts(server)).toEqual(['<s>Hi!', 'u:Hi;a:', 'u:Hi;a:']);
    const bare = await chatServer({ library });
    expect((await bare.ask({ model: 'own' })).status).toBe(200);
    for (const model of ['plain', 'tiny']) {
      expect((await bare.ask({ model })).body.error).toMatchObject({ code: 'chat_unsupported' });
    }
  });

  it('is refused by its own name: what it does not take, and what it takes too long for', async () => {
    const library = await testLibrary();
    const loops = '{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}';
    await push(library, 'refusing', `{{ raise_exception('Not so.') }}`);
    await push(library, 'endless', loops);
    const { ask } = await chatServer({ library });
    expect((await ask({ model: 'refusing' })).body.error).toMatchObject({
      param: 'messages',
      message: `The prefix's chat template refuses these messages: Not so.`,
    });
    const hasty = await chatServer({ library, templates: new TemplateSandbox({}, { timeoutMs: 50 }) });
    const { status, body } = await hasty.ask({ model: 'endless' });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({
      param: 'model',
      message: 'The chat template of the prefix takes longer than 50 ms.',
    });
  });
});

describe('a chat completion', () => {
  it('goes on from what the template makes of the messages', async () => {
    const { ask, engine } = await chatServer();
    const { body, status } = await ask({
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'A' }, { type: 'text', text: 'B' }] }, // prettier-ignore
        { role: 'developer', content: 'C' },
        { role: 'user', content: 'D', name: 'x' },
        { role: 'assistant', content: 'E', refusal: null },
      ],
      add_generation_prompt: false,
    });
    expect(status).toBe(200);
    const prompt = 's:A\nB;d:C;ux:D;a:E;';
    expect(Buffer.from(engine.submitted[0]?.prompt ?? []).toString()).toBe(prompt);
    expect(body).toStrictEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/) as string,
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'tiny',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: prompt.slice(0, 4), refusal: null },
          logprobs: null,
          finish_reason: 'length',
        },
      ],
      usage: {
        prompt_tokens: prompt.length,
        completion_tokens: 4,
        total_tokens: prompt.length + 4,
        prompt_tokens_details: { prefix_tokens: 0, cached_tokens: 0 },
      },
    });
  });

  it('has choices, log-probabilities with bytes, and token ids', async () => {
    const { ask } = await chatServer();
    const { body } = await ask({
      messages: [{ role: 'user', content: 'é' }],
      n: 2,
      logprobs: true,
      top_logprobs: 1,
      return_token_ids: true,
    });
    const prompt = [...Buffer.from('u:é;a:')];
    expect(body).toMatchObject({ prompt_token_ids: prompt });
    expect(body.choices).toHaveLength(2);
    const choice = body.choices[1] as unknown as Record<string, unknown>;
    expect(choice).toMatchObject({ index: 1, message: { content: 'u:é' }, token_ids: prompt.slice(0, 4) });
    const one = (token: string, byte: number) => ({ token, bytes: [byte], logprob: expect.any(Number) as number });
    const entry = (token: string, byte: number) => ({ ...one(token, byte), top_logprobs: [one(token, byte)] });
    expect(choice['logprobs']).toStrictEqual({
      content: [
        entry('u', 117),
        entry(':', 58),
        entry(String.raw`bytes:\xc3`, 0xc3),
        entry(String.raw`bytes:\xa9`, 0xa9),
      ],
      refusal: null,
    });
    const bare = await ask({ logprobs: true });
    expect(bare.body.choices[0]).toMatchObject({
      logprobs: { content: [{ token: 'u', top_logprobs: [] }, {}, {}, {}] },
    });
  });

  it('is streamed: the role, the text, the reason, the usage', async () => {
    const { ask } = await chatServer();
    const { text } = await ask({
      max_completion_tokens: 2,
      stream: true,
      stream_options: { include_usage: true },
      return_token_ids: true,
      logprobs: true,
    });
    const events = eventsOf(text);
    const delta = (content: object, more: object = {}) => [
      { index: 0, delta: content, logprobs: null, finish_reason: null, ...more },
    ];
    const logprobs = expect.objectContaining({ refusal: null }) as unknown;
    expect(events.map(({ choices }) => choices)).toStrictEqual([
      delta({ role: 'assistant', content: '' }),
      delta({ content: 'u' }, { token_ids: [117], logprobs }),
      delta({ content: ':' }, { token_ids: [58], logprobs }),
      delta({}, { token_ids: [], finish_reason: 'length' }),
      [],
    ]);
    expect(events[0]).toMatchObject({ object: 'chat.completion.chunk', prompt_token_ids: [...Buffer.from('u:Hi;a:')] });
    expect(events[1]).not.toHaveProperty('prompt_token_ids');
    expect(events.map(({ usage }) => usage)).toMatchObject([null, null, null, null, { completion_tokens: 2 }]);
  });

  it('may be as long as the context has room for, unless it says otherwise', async () => {
    const { ask, engine } = await chatServer();
    await ask({ max_completion_tokens: undefined });
    await ask({ max_completion_tokens: null, max_tokens: 3 });
    expect(engine.submitted.map(({ maxTokens }) => maxTokens)).toEqual([base.contextLength - 7, 3]);
  });

  it('may have to be as long as the context has room for', async () => {
    const { ask, engine } = await chatServer();
    const room = base.contextLength - 7;
    expect((await ask({ max_completion_tokens: undefined, min_tokens: room })).status).toBe(200);
    expect(engine.submitted[0]).toMatchObject({ minTokens: room, maxTokens: room });
    expect(await ask({ max_completion_tokens: undefined, min_tokens: room + 1 })).toMatchObject({
      status: 400,
      body: { error: { code: 'context_length_exceeded', param: 'messages' } },
    });
    expect(await ask({ max_completion_tokens: 20, min_tokens: 21 })).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('which is 20') as string, param: 'min_tokens' } },
    });
  });

  it('leaves special tokens out of the text unless they are asked for', async () => {
    const { ask, engine } = await chatServer();
    await ask({});
    await ask({ skip_special_tokens: false });
    expect(engine.submitted.map(({ skipsSpecialTokens }) => skipsSpecialTokens)).toEqual([true, false]);
  });

  it('takes what OpenAI’s clients send that asks for nothing', async () => {
    const { ask } = await chatServer();
    const nothing = {
      tools: [],
      tool_choice: 'none',
      functions: null,
      response_format: { type: 'text' },
      modalities: ['text'],
      metadata: { a: 'b' },
      store: false,
      user: 'x',
      service_tier: 'auto',
    };
    expect((await ask(nothing)).status).toBe(200);
  });

  it.each([
    [{ tools: [{ type: 'function' }] }, 'tools', /calls? no tools|call no tools/],
    [{ functions: [{}] }, 'functions', /call no tools/],
    [{ tool_choice: 'required' }, 'tool_choice', /'none' or 'auto'/],
    [{ response_format: { type: 'json_object' } }, 'response_format.type', /'text'/],
    [{ modalities: ['text', 'audio'] }, 'modalities', /'text'/],
    [{ audio: {} }, 'audio', /Unknown field/],
    [{ top_logprobs: 2 }, 'top_logprobs', /needs 'logprobs'/],
    [{ logprobs: 2 }, 'logprobs', /boolean/],
    [{ messages: [] }, 'messages', /fewer than 1/],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role', /system, developer, user, assistant/],
    [{ messages: [...messages, { role: 'tool', content: 'x' }, {}] }, 'messages[1].role', /system, developer/],
    [{ messages: Array<object>(2049).fill({ role: 'user', content: 'x' }) }, 'messages', /more than 2048/],
    [{ messages: [{ role: 'user', content: null }] }, 'messages[0].content', /a text/],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content', /a text/],
    [{ messages: [{ role: 'user', content: 'a', tool_calls: [] }] }, 'messages[0].tool_calls', /Unknown field/],
    [{ messages: [{ role: 'assistant', content: 'a' }] }, 'messages', /The user speaks first/],
    [{ max_completion_tokens: 0 }, 'max_completion_tokens', />= 1/],
    [{ max_completion_tokens: 3, max_tokens: 4 }, 'max_completion_tokens', /differ/],
    [{ prompt: 'a' }, 'prompt', /Unknown field/],
    [{ echo: true }, 'echo', /Unknown field/],
    [{ stream_options: { include_usage: true } }, 'stream_options', /needs 'stream'/],
    [{ stop: ['1', '2', '3', '4', '5'] }, 'stop', /up to 4/],
  ])('refuses %j by name', async (fields, param, message) => {
    const { ask } = await chatServer();
    const { status, body } = await ask(fields);
    expect({ status, param: body.error.param }).toEqual({ status: 400, param });
    expect(body.error.message).toMatch(message);
  });

  it('is one of few long ones that are rendered in a turn of the event loop', async () => {
    const renderedIn = new Set<number>();
    let turn = 0;
    let ticking = setImmediate(function tick() {
      turn++;
      ticking = setImmediate(tick);
    });
    onTestFinished(() => clearImmediate(ticking));
    const render = (): string => (renderedIn.add(turn), 'x');
    const { app } = await testServer({}, { library: await testLibrary(), chatTemplate: { render } });
    const long = Array<object>(2000).fill(messages[0] as object);
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(app, url, { ...request, messages: long })));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(renderedIn.size).toBe(8);
  });

  it('names the messages where they do not fit, and the model where it does not exist', async () => {
    const { ask } = await chatServer();
    const long = await ask({ messages: [{ role: 'user', content: 'x'.repeat(200) }] });
    expect(long).toMatchObject({
      status: 400,
      body: { error: { code: 'context_length_exceeded', param: 'messages' } },
    });
    expect(await ask({ model: 'nobody' })).toMatchObject({
      status: 404,
      body: { error: { code: 'model_not_found', param: 'model' } },
    });
  });

  it('is refused where the model has no template', async () => {
    const { app } = await testServer();
    expect(await post(app, url, request)).toMatchObject({
      status: 400,
      body: {
        error: {
          code: 'chat_unsupported',
          message: `The model 'tiny' has no chat template: send its prompt to /v1/completions.`,
        },
      },
    });
  });

  it('is cancelled when its client goes away', async () => {
    const { app, engine } = await chatServer();
    engine.script = (_, step) => (step === 1 ? new Promise(() => undefined) : undefined);
    const client = new OpenAI({ baseURL: `${await listen(app)}/v1`, apiKey: 'key', maxRetries: 0 });
    const stream = await client.chat.completions.create({
      ...request,
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === 'u') break;
    await vi.waitFor(() => expect(engine).toMatchObject({ running: 0, cancelled: 1 }), 30_000);
  });

  it('is the same from the official client, whole and streamed', async () => {
    const { app } = await chatServer();
    const client = new OpenAI({ baseURL: `${await listen(app)}/v1`, apiKey: 'key', maxRetries: 0 });
    const ask = { model: 'tiny', messages: [{ role: 'user' as const, content: 'é' }], max_completion_tokens: 7, n: 2 };
    const whole = await client.chat.completions.create(ask);
    const texts = ['', ''];
    for await (const { choices } of await client.chat.completions.create({ ...ask, stream: true })) {
      for (const { index, delta } of choices) texts[index] = `${texts[index] ?? ''}${delta.content ?? ''}`;
    }
    expect(whole.choices.map(({ message }) => message.content)).toEqual(texts);
    expect(texts).toEqual(['u:é;a:', 'u:é;a:']);
  });
});
