import { describe, expect, it } from 'vitest';

import { checkFile } from '../../src/batches/check-file.js';
import type { BatchFileError } from '../../src/batches/errors.js';
import { splitLines } from '../../src/lib/byte-lines.js';

/** Bytes in pieces of a length. */
async function* pieces(text: string | Uint8Array, length = 7): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

const limits = { maxLines: 5, maxLineBytes: 200 };
const request = (custom_id: unknown, changes: object = {}): string =>
  JSON.stringify({ custom_id, method: 'POST', url: '/v1/completions', body: { model: 'm' }, ...changes });
const check = (text: string | Uint8Array) => checkFile(pieces(text), '/v1/completions', limits);

async function problemsOf(text: string | Uint8Array): Promise<object[]> {
  const refused = await check(text).then(
    () => undefined,
    (error: BatchFileError) => error,
  );
  expect(refused).toMatchObject({ name: 'BatchFileError' });
  return refused!.problems.map(({ code, param, line }) => ({ code, param, line }));
}

describe('splitLines', () => {
  it.each([1, 2, 3, 100])('cuts what comes in pieces of %i bytes at the same places', async (length) => {
    const found: unknown[] = [];
    for await (const { number, bytes, end, isEnded } of splitLines(pieces('ab\n\né\r\nlast', length)))
      found.push([number, bytes.toString(), end, isEnded]);
    expect(found).toEqual([
      [1, 'ab', 3, true],
      [2, '', 4, true],
      [3, 'é\r', 8, true],
      [4, 'last', 12, false],
    ]);
  });
});

describe('a file of requests', () => {
  it('is counted, with blank lines and without, and knows who comes twice', async () => {
    const text = [request('a'), '', request('b'), request('a'), '  \r', request('b'), request('c')].join('\n');
    expect(await check(text)).toEqual({ total: 5, duplicates: new Set([4, 6]) });
    expect(await check(`${request('a')}\r\n`)).toEqual({ total: 1, duplicates: new Set() });
  });

  it('may have any body: that is its line’s matter', async () => {
    const bodies = [1, null, 'text', [], {}].map((body, i) => request(String(i), { body }));
    expect(await check(bodies.join('\n'))).toMatchObject({ total: 5 });
  });

  it.each([
    ['nothing', '', 'empty_file', null, null],
    ['blank lines', '\n \n', 'empty_file', null, null],
    ['no JSON', `${request('a')}\nnot json`, 'invalid_json_line', null, 2],
    ['an array', '[]', 'invalid_json_line', null, 1],
    ['a number', '7', 'invalid_json_line', null, 1],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'invalid_json_line', null, 1],
    ['deep nesting', `{"custom_id":${'['.repeat(40)}${']'.repeat(40)}}`, 'invalid_json_line', null, 1],
    ['no custom_id', request(undefined), 'missing_parameter', 'custom_id', 1],
    ['a number as custom_id', request(7), 'invalid_type', 'custom_id', 1],
    ['an empty custom_id', request(''), 'invalid_value', 'custom_id', 1],
    ['no method', request('a', { method: undefined }), 'missing_parameter', 'method', 1],
    ['another method', request('a', { method: 'GET' }), 'invalid_value', 'method', 1],
    ['no url', request('a', { url: undefined }), 'missing_parameter', 'url', 1],
    ['another url', request('a', { url: '/v1/chat/completions' }), 'invalid_value', 'url', 1],
    ['no body', request('a', { body: undefined }), 'missing_parameter', 'body', 1],
    ['a field that there is not', request('a', { priority: 1 }), 'unknown_parameter', 'priority', 1],
    ['a long line', request('a', { body: 'x'.repeat(200) }), 'line_too_long', null, 1],
    ['too many lines', 'abcdef'.split('').map((id) => request(id)).join('\n'), 'too_many_lines', null, 6], // prettier-ignore
  ])('is refused for %s, with line and field', async (_, text, code, param, line) => {
    expect(await problemsOf(text)).toEqual([{ code, param, line }]);
  });

  it('tells of more than one fault, and not of thousands', async () => {
    const found = await checkFile(pieces('x\n'.repeat(10_000), 4096), '/v1/completions', {
      ...limits,
      maxLines: 50_000,
    }).catch((error: BatchFileError) => error.problems);
    expect(found).toHaveLength(20);
    expect(await problemsOf(`${request(1)}\nx`)).toEqual([
      { code: 'invalid_type', param: 'custom_id', line: 1 },
      { code: 'invalid_json_line', param: null, line: 2 },
    ]);
  });

  it('says nothing of its content in its messages', async () => {
    const secret = 'wombat';
    const refused = await check(`{"custom_id":"${secret}","method":"${secret}"}\n${secret}`).catch(
      (error: BatchFileError) => error.problems.map(({ message }) => message).join(),
    );
    expect(refused).toContain('Line 1');
    expect(refused).not.toContain(secret);
  });
});
