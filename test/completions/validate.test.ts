import { describe, expect, it } from 'vitest';

import type { CompletionRequest } from '../../src/completions/request/schema.js';
import { loadRequestCheck } from '../../src/completions/request/validate.js';
import { refusal } from './refusal.js';

const minimal = { model: 'm', prompt: 'p' };
const checkRequest = await loadRequestCheck();
const refused = (body: unknown) => refusal(() => checkRequest(body));

describe('fields', () => {
  it.each<[unknown, string, string | undefined, string]>([
    [undefined, 'invalid_type', undefined, 'The body must be object.'],
    [null, 'invalid_type', undefined, 'The body must be object.'],
    [[minimal], 'invalid_type', undefined, 'The body must be object.'],
    [{}, 'missing_parameter', 'prompt', `'prompt' is required.`],
    [{ prompt: 'p' }, 'missing_parameter', 'model', `'model' is required.`],
    [{ model: 'm' }, 'missing_parameter', 'prompt', `'prompt' is required.`],
    [{ ...minimal, frob: 1, nick: 2 }, 'unknown_parameter', 'frob', `Unknown field 'frob'.`],
    [{ ...minimal, frob: 1, n: 'x' }, 'unknown_parameter', 'frob', `Unknown field 'frob'.`],
    [{ ...minimal, n: 'x', top_p: 'y' }, 'invalid_type', 'top_p', `'top_p' must be number or null.`],
    [{ ...minimal, n: 1.5 }, 'invalid_type', 'n', `'n' must be integer or null.`],
    [{ ...minimal, temperature: 3 }, 'invalid_value', 'temperature', `'temperature' must be <= 2.`],
    [{ ...minimal, temperature: Infinity }, 'invalid_type', 'temperature', `'temperature' must be number or null.`],
    [{ ...minimal, repetition_penalty: 0 }, 'invalid_value', 'repetition_penalty', `'repetition_penalty' must be > 0.`],
    [{ ...minimal, logit_bias: { '5': 101 } }, 'invalid_value', 'logit_bias', `'logit_bias[5]' must be <= 100.`],
    [
      { ...minimal, stop_token_ids: Array(1025).fill(1) },
      'invalid_value',
      'stop_token_ids',
      `'stop_token_ids' must NOT have more than 1024 items.`,
    ],
    [{ ...minimal, stop_token_ids: [1, -1] }, 'invalid_value', 'stop_token_ids', `'stop_token_ids[1]' must be >= 0.`],
    [
      { ...minimal, stream_options: { frob: 1 } },
      'unknown_parameter',
      'stream_options.frob',
      `Unknown field 'stream_options.frob'.`,
    ],
    [
      { ...minimal, blend: Array(3).fill({ model: 'm', weight: 1 }), temperature: 3 },
      'invalid_value',
      'temperature',
      `'temperature' must be <= 2.`,
    ],
    ...[{}, [], [1, 'a'], Array(50).fill({})].map((prompt): [unknown, string, string, string] => [
      { model: 'm', prompt },
      'invalid_value',
      'prompt',
      `'prompt' must be a string, an array of strings, an array of token ids, or an array of those.`,
    ]),
    ...['always', 1, {}, [], [[true]]].map((early): [unknown, string, string, string] => [
      { ...minimal, use_beam_search: true, early_stopping: early },
      'invalid_value',
      'early_stopping',
      `'early_stopping' must be true, false or "never".`,
    ]),
    ...['', [1], ['a', 'b', 'c', 'd', 'e'], Array(50).fill(1)].map((stop): [unknown, string, string, string] => [
      { ...minimal, stop },
      'invalid_value',
      'stop',
      `'stop' must be a string that is not empty, or up to 4 of them.`,
    ]),
  ])('refuses %j', (body, code, param, message) => {
    expect(refused(body)).toMatchObject({ code, message });
    expect(refused(body).param).toBe(param);
  });

  const many = Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`k${i}`, 1]));

  it.each<[object, string, string]>([
    [{ user: many }, 'user', `'user' must be string or null.`],
    [{ stop: many }, 'stop', `'stop' must be a string that is not empty, or up to 4 of them.`],
    [{ stop_token_ids: many }, 'stop_token_ids', `'stop_token_ids' must be array or null.`],
    [{ logit_bias: { ...many, k5: 'x' } }, 'logit_bias.k5', `'logit_bias.k5' must be number.`],
    [{ logit_bias: { '5': Object.keys(many) } }, 'logit_bias', `'logit_bias[5]' must be number.`],
    [{ stream_options: many }, 'stream_options.k0', `Unknown field 'stream_options.k0'.`],
    [{ stream_options: { include_usage: true, ...many } }, 'stream_options.k0', `Unknown field 'stream_options.k0'.`],
    [
      { stream_options: { include_usage: Object.keys(many) } },
      'stream_options.include_usage',
      `'stream_options.include_usage' must be boolean or null.`,
    ],
  ])('refuse many entries, case %#', (fields, param, message) => {
    expect(refused({ ...minimal, ...fields })).toMatchObject({ param, message });
  });

  it.each([[['x']], [[]]])('are not searched for errors in a large array of arrays', (...last) => {
    let reads = 0;
    const counted = Object.defineProperty(Array(2000).fill(5), 1999, { get: () => (reads++, 5), enumerable: true });
    expect(() => checkRequest({ ...minimal, prompt: [counted] })).not.toThrow();
    const once = reads;
    expect(refused({ ...minimal, n: 'x', prompt: [counted, ...last] }).message).toBeTruthy();
    expect(reads - once).toBe(2 * once);
  });

  it('are handed on as they came', () => {
    const body = { ...minimal, n: null, seed: 0, stop: ['a'], logit_bias: { '1': 2 } };
    expect(checkRequest(body)).toBe(body);
  });
});

describe('fields together', () => {
  it('refuses a suffix by name', () => {
    for (const suffix of ['', 'end']) {
      expect(refused({ ...minimal, suffix })).toMatchObject({
        code: 'unsupported_parameter',
        param: 'suffix',
      });
    }
  });

  it('refuses to stream the best of more than n', () => {
    expect(refused({ ...minimal, best_of: 2, stream: true })).toMatchObject({ param: 'best_of' });
  });

  it('refuses stream_options without a stream', () => {
    const body = { ...minimal, stream_options: { include_usage: true } };
    expect(refused(body)).toMatchObject({ param: 'stream_options' });
  });

  it('refuses a best_of below n', () => {
    expect(refused({ ...minimal, n: 3, best_of: 2 })).toMatchObject({ param: 'best_of' });
  });
});

describe('fields beside a beam search', () => {
  const search = { ...minimal, max_tokens: 6, use_beam_search: true };

  it.each([
    { temperature: 1 },
    { temperature: 0.5 },
    { top_p: 0.9 },
    { top_k: 3 },
    { min_p: 0.1 },
    { presence_penalty: 1 },
    { frequency_penalty: -1 },
    { repetition_penalty: 1.1 },
    { logit_bias: { '1': 1 } },
    { seed: 0 },
    { stop: 'x' },
    { stop: ['x'] },
    { stream: true },
    { stream: true, best_of: 2 },
    { max_tokens: 0 },
  ])('refuses %j by name', (fields) => {
    expect(refused({ ...search, ...fields })).toMatchObject({ code: 'invalid_value', param: Object.keys(fields)[0] });
  });

  it('may ask for nothing', () => {
    const neutral = { temperature: 0, top_p: 1, top_k: -1, min_p: 0, presence_penalty: 0, repetition_penalty: 1 };
    const rest = { frequency_penalty: 0, logit_bias: {}, min_tokens: 1, seed: null, stop: [], stream: false };
    const nulls = { temperature: null, top_k: 0, stop: null, length_penalty: null };
    for (const fields of [{ ...neutral, ...rest }, nulls])
      expect(() => checkRequest({ ...search, ...fields })).not.toThrow();
  });

  it('have no length penalty and no early stopping without one', () => {
    for (const use_beam_search of [false, null]) {
      const plain: Partial<CompletionRequest> = { ...search, use_beam_search };
      expect(refused({ ...plain, length_penalty: 2 }).param).toBe('length_penalty');
      for (const length_penalty of [null, 1]) expect(() => checkRequest({ ...plain, length_penalty })).not.toThrow();
      for (const early_stopping of [true, 'never'])
        expect(refused({ ...plain, early_stopping }).param).toBe('early_stopping');
      for (const early_stopping of [null, false])
        expect(() => checkRequest({ ...plain, early_stopping })).not.toThrow();
    }
  });
});
