import type { SafetensorsErrorCode } from '../../src/safetensors/index.js';

/** A file with any header, valid or not. */
export function file(header: string | Uint8Array, data = new Uint8Array(), length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

export function tensor(dtype: string, shape: string, begin: number | string, end: number | string): string {
  return `{"dtype":${JSON.stringify(dtype)},"shape":${shape},"data_offsets":[${begin},${end}]}`;
}

export const eight = new Uint8Array(8);
const deep = '['.repeat(400_000) + ']'.repeat(400_000);

/** At least one file for every code. */
export const refusedFiles: [SafetensorsErrorCode, string, Uint8Array][] = [
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
  ['bad_metadata', 'metadata that is a text', file('{"__metadata__":""}')],
  ['bad_metadata', 'a metadata value that is null', file('{"__metadata__":{"a":null}}')],
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
