import Fastify from 'fastify';
import { describe, expect, it } from 'vitest';

import type { CompletionResponse } from '../../src/completions/answer/schema.js';
import { completionJson } from '../../src/completions/answer/json.js';
import { manyJson } from '../../src/server/completions/many-json.js';
import { completionAnswers } from '../../src/server/completions/schema.js';
import { manyAnswers, type ManyResponse } from '../../src/server/completions/many-schema.js';
import { sendJson } from '../../src/server/http/send-json.js';
import { toApiError } from '../../src/server/errors.js';

/** As it comes out of JSON. */
const parsed = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const asJson = <T>(value: T) => ({ toJSON: () => value });

/** An answer with every field, and texts that JSON escapes. */
const answer: CompletionResponse = {
  id: 'cmpl-1',
  object: 'text_completion',
  created: 1_700_000_000,
  model: 'a "model"\n',
  choices: [0, 1].map((index) => ({
    text: 'é\u2028\ud800"\\\u0001😀',
    index,
    logprobs:
      index === 0
        ? {
            tokens: ['a', String.raw`bytes:\xc3`, '1'],
            token_logprobs: [null, -0.1234567890123, -1e-7],
            top_logprobs: [null, asJson({ b: -1, '7': -2, '"': -1e300 }), asJson({})],
            text_offset: [0, 1, 1],
          }
        : null,
    finish_reason: index === 0 ? ('stop' as const) : ('length' as const),
    ...(index === 0 && { prompt_token_ids: [1, 2], token_ids: [] }),
  })),
  usage: {
    prompt_tokens: 2,
    completion_tokens: 3,
    total_tokens: 5,
    prompt_tokens_details: { prefix_tokens: 0, cached_tokens: 0 },
  },
};
/** An answer with the log-probabilities of 200 tokens. */
const long: CompletionResponse = {
  ...answer,
  choices: answer.choices.map((choice, index) => ({
    ...choice,
    logprobs: {
      tokens: Array.from({ length: 200 }, (_, i) => `"${i}`),
      token_logprobs: Array.from({ length: 200 }, (_, i) => (i === 0 ? null : -i / 7)),
      top_logprobs: Array.from({ length: 200 }, (_, i) => (i === 0 ? null : asJson({ [`b${i}`]: -index, a: -i }))),
      text_offset: Array.from({ length: 200 }, (_, i) => 2 * i),
    },
  })),
};
const many: ManyResponse = {
  object: 'list',
  data: [
    { custom_id: 'a"', response: { status_code: 200, body: answer }, error: null },
    { custom_id: 'b', response: { status_code: 500, body: toApiError(new Error('x')).toEnvelope() }, error: null },
    { custom_id: 'c', response: { status_code: 200, body: { ...answer, choices: [] } }, error: null },
  ],
};

describe('the pieces of an answer', () => {
  it('are together what fastify would send', async () => {
    const app = Fastify();
    app.get('/one', { schema: { response: { 200: completionAnswers } } }, () => parsed(answer));
    app.get('/many', { schema: { response: { 200: manyAnswers } } }, () => parsed(many));
    app.get('/long', { schema: { response: { 200: completionAnswers } } }, () => parsed(long));
    expect([...completionJson(answer)].join('')).toBe((await app.inject('/one')).payload);
    expect([...completionJson(long)].join('')).toBe((await app.inject('/long')).payload);
    expect([...manyJson(many)].join('')).toBe((await app.inject('/many')).payload);
  });

  it('are short', () => {
    const whole = JSON.stringify(long).length;
    expect(Math.max(...[...completionJson(long)].map(({ length }) => length))).toBeLessThan(whole / 10);
    expect(Math.max(...[...completionJson(answer)].map(({ length }) => length))).toBeLessThan(600);
  });
});

describe('JSON in pieces', () => {
  /** Sends pieces, and counts the turns that were asked for. */
  const send = async (pieces: Iterable<string>) => {
    const app = Fastify();
    let turns = 0;
    app.get('/', (_, reply) => sendJson(reply, pieces, async () => void turns++));
    const { payload, headers } = await app.inject('/');
    return { payload, headers, turns };
  };
  const piece = 'x'.repeat(50_000);

  it('is sent whole, with its length, when it is short', async () => {
    const { payload, headers, turns } = await send(['[1,', '2]']);
    expect(payload).toBe('[1,2]');
    expect(headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'content-length': '5' });
    expect(turns).toBe(0);
  });

  it('takes a turn for every chunk of a long one', async () => {
    const { payload, headers, turns } = await send(Array<string>(20).fill(piece));
    expect(payload).toBe(piece.repeat(20));
    expect(headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8' });
    expect(turns).toBe(8);
  });
});
