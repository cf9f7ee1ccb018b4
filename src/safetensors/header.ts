import fs from 'node:fs/promises';

import { fileKind, KIND_BYTES } from '../lib/file-kind.js';
import type { Dtype } from './dtype.js';
import { DTYPE_BYTES } from './dtype.js';
import { type RawEntry, parseEntry, quoted } from './entry.js';
import { SafetensorsError } from './errors.js';
import { findDuplicateKey } from './json-keys.js';

/** A tensor in a file. `begin` and `end` are byte offsets from the start of the file. */
export interface TensorEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** The tensors and metadata that a safetensors file declares, checked against the file's size. */
export interface SafetensorsHeader {
  /** Tensors that can be decoded, by name. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Valid tensors of other element types: name to type. */
  readonly others: ReadonlyMap<string, string>;
  /** `__metadata__`: free text from the file's author. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Limits for parsing a header. */
export interface HeaderOptions {
  /** Maximum size of the JSON header; 1 MiB unless given. */
  readonly maxHeaderBytes?: number;
}

/** Default maximum size of the JSON header: enough for any prefix, too small for some checkpoints. */
export const DEFAULT_MAX_HEADER_BYTES = 1 << 20;
/** Size of the length field before the header: a little-endian 64-bit integer. */
const LENGTH_BYTES = 8;
const METADATA = '__metadata__';

/**
 * Parses the header of a whole file in memory. Every length is checked before it is used. Throws `SafetensorsError`.
 */
export function parseSafetensors(file: Uint8Array, options: HeaderOptions = {}): SafetensorsHeader {
  try {
    const length = headerLength(file.subarray(0, LENGTH_BYTES), file.length, options);
    return parseHeader(file.subarray(LENGTH_BYTES, LENGTH_BYTES + length), file.length);
  } catch (error) {
    throw namingKind(error, file);
  }
}

/** Parses the header of the file at `path` without reading the data. Throws `SafetensorsError`, and errors of `fs`. */
export async function readSafetensorsHeader(path: string, options: HeaderOptions = {}): Promise<SafetensorsHeader> {
  const file = await fs.open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = await readExactly(file, 0, Math.min(KIND_BYTES, size));
    try {
      const length = headerLength(start.subarray(0, LENGTH_BYTES), size, options);
      return parseHeader(await readExactly(file, LENGTH_BYTES, length), size);
    } catch (error) {
      throw namingKind(error, start);
    }
  } finally {
    await file.close();
  }
}

/** The error with a message that says what the file is instead, where its start tells. */
function namingKind(error: unknown, start: Uint8Array): unknown {
  const kind = error instanceof SafetensorsError ? fileKind(start) : undefined;
  if (kind === undefined) return error;
  return new SafetensorsError((error as SafetensorsError).code, `the file is ${kind.what}: ${kind.help}`);
}

/** Reads exactly `length` bytes; one `read` may return fewer. Throws `truncated` when the file ends early. */
async function readExactly(file: fs.FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) throw new SafetensorsError('truncated', 'the file ended while its header was read');
    at += bytesRead;
  }
  return bytes;
}

function headerLength(start: Uint8Array, fileBytes: number, options: HeaderOptions): number {
  if (start.length < LENGTH_BYTES) {
    throw new SafetensorsError(
      'truncated',
      `a safetensors file has at least ${LENGTH_BYTES} bytes, this one ${fileBytes}`,
    );
  }
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  const limit = options.maxHeaderBytes ?? DEFAULT_MAX_HEADER_BYTES;
  if (length === 0n) throw new SafetensorsError('header_empty', 'the header is empty');
  if (length > BigInt(limit)) {
    throw new SafetensorsError('header_too_large', `the header has ${length} bytes; at most ${limit} are accepted`);
  }
  if (length > BigInt(fileBytes - LENGTH_BYTES)) {
    throw new SafetensorsError(
      'header_past_end',
      `a header of ${length} bytes does not fit in a file of ${fileBytes} bytes`,
    );
  }
  return Number(length);
}

function parseHeader(bytes: Uint8Array, fileBytes: number): SafetensorsHeader {
  const json = parseObject(bytes);
  const dataStart = LENGTH_BYTES + bytes.length;
  const entries = Object.entries(json)
    .filter(([name]) => name !== METADATA)
    .map(([name, value]) => parseEntry(name, value));
  checkCoverage(entries, fileBytes - dataStart);
  const tensors = new Map<string, TensorEntry>();
  const others = new Map<string, string>();
  for (const { name, dtype, shape, begin, end } of entries) {
    if (!isDecodable(dtype)) others.set(name, dtype);
    else tensors.set(name, { dtype, shape, begin: dataStart + begin, end: dataStart + end });
  }
  return { tensors, others, metadata: parseMetadata(json) };
}

function isDecodable(dtype: string): dtype is Dtype {
  return Object.hasOwn(DTYPE_BYTES, dtype);
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  const text = decodeUtf8(bytes);
  const value = parseJson(text);
  if (bytes[0] !== 0x7b || typeof value !== 'object' || value === null) {
    throw new SafetensorsError('header_not_object', "the header is not a JSON object that starts with '{'");
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new SafetensorsError('duplicate_key', `the header has the key ${quoted(duplicate)} twice`);
  }
  return value as Record<string, unknown>;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SafetensorsError('header_not_utf8', 'the header is not valid UTF-8');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SafetensorsError('header_not_json', 'the header is not valid JSON');
  }
}

function parseMetadata(header: Record<string, unknown>): Map<string, string> {
  if (!Object.hasOwn(header, METADATA)) return new Map();
  const metadata = header[METADATA];
  if (metadata === null) return new Map(); // as the official reader has it
  if (typeof metadata === 'object' && !Array.isArray(metadata)) {
    const pairs = Object.entries(metadata);
    if (pairs.every((pair): pair is [string, string] => typeof pair[1] === 'string')) return new Map(pairs);
  }
  throw new SafetensorsError('bad_metadata', `${METADATA} is neither null nor an object of strings`);
}

/** Checks that the tensors cover the data exactly, from byte 0 to the last, without gap or overlap. */
function checkCoverage(entries: readonly RawEntry[], dataBytes: number): void {
  let at = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < at) throw new SafetensorsError('overlap', `tensor ${quoted(name)} overlaps another one`);
    if (begin > at)
      throw new SafetensorsError('gap', `tensor ${quoted(name)} leaves ${begin - at} bytes unused before it`);
    at = end;
  }
  if (at > dataBytes) {
    throw new SafetensorsError('data_past_end', `the tensors need ${at} bytes of data, the file has ${dataBytes}`);
  }
  if (at < dataBytes) {
    throw new SafetensorsError('trailing_bytes', `${dataBytes - at} bytes of the file belong to no tensor`);
  }
}
