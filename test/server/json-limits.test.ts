import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { testServer } from './harness.js';

const send = async (body: string) => {
  const { app } = await testServer();
  const parse = vi.spyOn(JSON, 'parse');
  onTestFinished(() => parse.mockRestore());
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/completions',
    headers: { 'content-type': 'application/json' },
    payload: body,
  });
  const isParsed = parse.mock.calls.some(([text]) => text === body);
  return { isParsed, ...answer.json<{ error: { code: string; message: string; param: string | null } }>().error };
};
const written = (fields: string): string => `{"model":"tiny","prompt":"a",${fields}}`;
const times = (count: number, of: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => of(i)).join();

describe('a JSON body', () => {
  it.each([
    ['524288 values', written(`"stop":[${times(524_288, () => '1')}]`)],
    ['65536 strings, objects and arrays', written(`"stop":[${times(65_536, () => '""')}]`)],
    ['65536 strings, objects and arrays', written(`"stop":[${times(65_536, () => '[]')}]`)],
    ['16384 fields with a name that is no number', written(times(16_384, (i) => `"a${i}":1`))],
    ['16384 fields with a name that is no number', written(times(16_384, (i) => `"1e${i}":1`))],
  ])('of more than %s is refused before it is parsed', async (limit, body) => {
    expect(await send(body)).toMatchObject({
      isParsed: false,
      code: 'invalid_json',
      message: `The body has more than ${limit}.`,
    });
  });

  it.each([
    ['half a million numbers', written(`"stop":[${times(524_000, () => '1')}]`), 'invalid_value', 'stop'],
    [
      'half a million numbers and a text',
      written(`"prompt":[${times(524_000, () => '1')},"a"]`),
      'invalid_value',
      'prompt',
    ],
    [
      'many ids that end tokens',
      written(`"stop_token_ids":[${times(500_000, () => '1')}]`),
      'invalid_value',
      'stop_token_ids',
    ],
    ['many texts', written(`"stop_token_ids":[${times(60_000, () => '""')}]`), 'invalid_type', 'stop_token_ids'],
    ['many fields', written(times(16_000, (i) => `"f${i}":1`)), 'unknown_parameter', 'f0'],
    ['an unknown field of many numbers', written(`"frob":[${times(500_000, () => '1')}]`), 'unknown_parameter', 'frob'],
    [
      'a bias for many tokens',
      written(`"logit_bias":{${times(60_000, (i) => `"${i}":${i < 59_999 ? '1' : '"x"'}`)}}`),
      'invalid_type',
      'logit_bias',
    ],
    [
      'many numbers before a field that is wrong',
      written(`"n":0,"prompt":[${times(500_000, () => '1')}]`),
      'invalid_value',
      'n',
    ],
    [
      'a prototype behind many numbers',
      written(`"prompt":[${times(500_000, () => '1')}],"user":{"constructor":{"prototype":1}}`),
      'unknown_parameter',
      'user.constructor.prototype',
    ],
    [
      'a prototype in an array',
      written('"metadata":{"a":[{"b":1},{"__proto__":{}}]}'),
      'unknown_parameter',
      'metadata.a[1].__proto__',
    ],
  ])('of %s is refused by the first field at fault', async (_, body, code, param) => {
    expect(await send(body)).toMatchObject({ isParsed: true, code, param });
  });

  it('of nine unknown fields is refused as one with one is', async () => {
    expect(await send(written(times(9, (i) => `"f${i}":1`)))).toMatchObject({ code: 'unknown_parameter', param: 'f0' });
  });
});
