import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import {
  encodeSafetensors,
  parseSafetensors,
  readSafetensorsHeader,
  SAFETENSORS_ERROR_CODES,
  SafetensorsError,
  type SafetensorsErrorCode,
} from '../../src/safetensors/index.js';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-safetensors-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

/** A file with any header, valid or not. */
function file(header: string | Uint8Array, data = new Uint8Array(), length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

function tensor(dtype: string, shape: string, begin: number | string, end: number | string): string {
  return `{"dtype":${JSON.stringify(dtype)},"shape":${shape},"data_offsets":[${begin},${end}]}`;
}

const eight = new Uint8Array(8);
const deep = '['.repeat(400_000) + ']'.repeat(400_000);

/** At least one file for every code. */
const refused: [SafetensorsErrorCode, string, Uint8Array][] = [
  ['truncated', 'an empty file', new Uint8Array()],
  ['truncated', 'seven bytes', new Uint8Array(7)],
  ['header_empty', 'a length of zero', file('', eight)],
  ['header_past_end', 'a length one too long', file('{}', undefined, 3n)],
  ['header_too_large', 'a length over the cap', file('{}', undefined, BigInt((1 << 20) + 1))],
  ['header_too_large', 'the largest length', file('{}', undefined, 2n ** 64n - 1n)],
  ['header_not_utf8', 'a lone continuation byte', file(Uint8Array.of(0x7b, 0x80, 0x7d))],
  ['header_not_utf8', 'an encoded surrogate', file(Uint8Array.of(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d))],
  ['header_not_json', 'no JSON', file('{"a"')],
  ['header_not_json', 'a byte order mark', file('\ufeff{}')],
  ['header_not_object', 'an array', file('[]')],
  ['header_not_object', 'a number', file('7')],
  ['header_not_object', 'null', file('null')],
  ['header_not_object', 'space before the object', file(' {}')],
  [
    'duplicate_key',
    'a name twice',
    file(`{"a":${tensor('F32', '[2]', 0, 8)},"a":${tensor('F32', '[2]', 0, 8)}}`, eight),
  ],
  ['duplicate_key', 'a name twice, once escaped', file('{"a":1,"\\u0061":1}')],
  ['duplicate_key', '__metadata__ twice', file('{"__metadata__":{},"__metadata__":{}}')],
  ['duplicate_key', 'a field twice', file('{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}')],
  ['duplicate_key', 'a metadata key twice', file('{"__metadata__":{"a":"1","a":"2"}}')],
  ['duplicate_key', '__proto__ twice', file('{"__proto__":1,"__proto__":2}')],
  ['bad_metadata', 'metadata that is a list', file('{"__metadata__":[]}')],
  ['bad_metadata', 'metadata that is null', file('{"__metadata__":null}')],
  ['bad_metadata', 'a metadata value that is a number', file('{"__metadata__":{"a":1}}')],
  ['bad_name', 'an empty name', file(`{"":${tensor('F32', '[0]', 0, 0)}}`)],
  ['bad_name', 'a NUL in a name', file(`{"a\\u0000b":${tensor('F32', '[0]', 0, 0)}}`)],
  ['bad_entry', 'an entry that is a number', file('{"a":1}')],
  ['bad_entry', 'an entry that is null', file('{"a":null}')],
  ['bad_entry', 'a missing field', file('{"a":{"dtype":"F32","shape":[0]}}')],
  ['bad_entry', 'a field too many', file('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":1}}')],
  ['bad_entry', 'fields that only look right joined', file('{"a":{"data_offsets,dtype":1,"shape":[0]}}')],
  ['unknown_dtype', 'a dtype of no format', file(`{"a":${tensor('F33', '[0]', 0, 0)}}`)],
  ['unknown_dtype', 'a dtype named like a method', file(`{"a":${tensor('constructor', '[0]', 0, 0)}}`)],
  ['unknown_dtype', 'a number for a dtype', file('{"a":{"dtype":1,"shape":[0],"data_offsets":[0,0]}}')],
  ['unknown_dtype', 'a deeply nested dtype', file(`{"a":{"dtype":${deep},"shape":[0],"data_offsets":[0,0]}}`)],
  ['bad_shape', 'a negative dimension', file(`{"a":${tensor('F32', '[-2]', 0, 8)}}`, eight)],
  ['bad_shape', 'a fractional dimension', file(`{"a":${tensor('F32', '[0.5]', 0, 2)}}`, eight)],
  ['bad_shape', 'a dimension in a string', file(`{"a":${tensor('F32', '["2"]', 0, 8)}}`, eight)],
  ['bad_shape', 'a dimension past 2^53', file(`{"a":${tensor('F32', '[9007199254740993]', 0, 8)}}`, eight)],
  ['bad_shape', 'a shape that is no list', file(`{"a":${tensor('F32', '2', 0, 8)}}`, eight)],
  ['shape_overflow', 'a product past 2^53', file(`{"a":${tensor('F32', '[4294967296,4294967296]', 0, 0)}}`)],
  ['shape_overflow', 'an overflow before a zero', file(`{"a":${tensor('F32', '[4294967296,4294967296,0]', 0, 0)}}`)],
  ['bad_offsets', 'one offset', file('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0]}}')],
  ['bad_offsets', 'a negative offset', file(`{"a":${tensor('F32', '[2]', -8, 0)}}`, eight)],
  ['bad_offsets', 'offsets that are strings', file(`{"a":${tensor('F32', '[2]', '"0"', '"8"')}}`, eight)],
  ['size_mismatch', 'a range too short', file(`{"a":${tensor('F32', '[3]', 0, 8)}}`, eight)],
  ['size_mismatch', 'a range that ends before it begins', file(`{"a":${tensor('F32', '[2]', 8, 0)}}`, eight)],
  [
    'overlap',
    'the same bytes twice',
    file(`{"a":${tensor('F32', '[2]', 0, 8)},"b":${tensor('F16', '[2]', 4, 8)}}`, eight),
  ],
  ['gap', 'bytes unused between', file(`{"a":${tensor('F16', '[1]', 0, 2)},"b":${tensor('F32', '[1]', 4, 8)}}`, eight)],
  ['gap', 'bytes unused at the start', file(`{"a":${tensor('F32', '[1]', 4, 8)}}`, eight)],
  ['data_past_end', 'data past the end', file(`{"a":${tensor('F32', '[3]', 0, 12)}}`, eight)],
  ['data_past_end', 'a petabyte in a small file', file(`{"a":${tensor('F32', '[281474976710656]', 0, 2 ** 50)}}`)],
  ['trailing_bytes', 'a byte too many', file(`{"a":${tensor('F32', '[1]', 0, 4)}}`, eight)],
  ['trailing_bytes', 'data of no tensor', file('{}', eight)],
];

function refusal(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('refusals', () => {
  it.each(refused)('%s: %s', async (code, _, bytes) => {
    const error = refusal(() => parseSafetensors(bytes));
    expect(error).toBeInstanceOf(SafetensorsError);
    expect((error as SafetensorsError).code).toBe(code);
    expect((error as SafetensorsError).message.length).toBeLessThan(400);

    const onDisk = path.join(directory, 'refused.safetensors');
    fs.writeFileSync(onDisk, bytes);
    await expect(readSafetensorsHeader(onDisk)).rejects.toMatchObject({ code });
  });

  it('has a case for every code', () => {
    expect(new Set(refused.map(([code]) => code))).toEqual(new Set(SAFETENSORS_ERROR_CODES));
  });
});

describe('acceptance', () => {
  it('reads what it wrote, from memory and from a file', async () => {
    const a = Float32Array.of(1, -2, 3.5, 0, 5, 6);
    const bytes = encodeSafetensors({
      'layer.a': { shape: [2, 3], data: a },
      b: { shape: [], data: Float32Array.of(7) },
    });
    const header = parseSafetensors(bytes);
    const begin = bytes.length - 28;
    expect(begin % 8).toBe(0);
    expect(header.tensors).toEqual(
      new Map([
        ['layer.a', { dtype: 'F32', shape: [2, 3], begin, end: begin + 24 }],
        ['b', { dtype: 'F32', shape: [], begin: begin + 24, end: begin + 28 }],
      ]),
    );
    expect(header.metadata).toEqual(new Map([['format', 'pt']]));
    const onDisk = path.join(directory, 'good.safetensors');
    fs.writeFileSync(onDisk, bytes);
    expect(await readSafetensorsHeader(onDisk)).toEqual(header);
  });

  it('reads a file that lies anywhere in a larger buffer', () => {
    const bytes = encodeSafetensors({ a: { shape: [1], data: Float32Array.of(1) } });
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(parseSafetensors(shifted.subarray(3))).toEqual(parseSafetensors(bytes));
  });

  it('lists tensors of other types apart', () => {
    const header = parseSafetensors(
      file(`{"mask":${tensor('BOOL', '[4]', 0, 4)},"a":${tensor('BF16', '[2]', 4, 8)}}`, eight),
    );
    expect(header.others).toEqual(new Map([['mask', 'BOOL']]));
    expect([...header.tensors.keys()]).toEqual(['a']);
  });

  it('takes names of Object.prototype for names', () => {
    const header = parseSafetensors(
      file(`{"__proto__":${tensor('F32', '[1]', 0, 4)},"toString":${tensor('F32', '[1]', 4, 8)}}`, eight),
    );
    expect([...header.tensors.keys()]).toEqual(['__proto__', 'toString']);
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
  });

  it('accepts padding, empty tensors, and a header as long as its cap', () => {
    expect(parseSafetensors(file(`{"a":${tensor('F32', '[0,3]', 0, 0)}}  `)).tensors.size).toBe(1);
    const long = file(`{}${' '.repeat(100)}`);
    expect(parseSafetensors(long, { maxHeaderBytes: 102 }).tensors.size).toBe(0);
    expect(refusal(() => parseSafetensors(long, { maxHeaderBytes: 101 }))).toMatchObject({ code: 'header_too_large' });
  });

  it('refuses to write a shape that the data do not have', () => {
    expect(() => encodeSafetensors({ a: { shape: [2, 2], data: new Float32Array(3) } })).toThrow(RangeError);
  });
});
