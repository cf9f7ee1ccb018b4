import fs from 'node:fs/promises';

import { type Dtype, DTYPE_BYTES, OTHER_DTYPE_BYTES } from './dtype.js';
import { SafetensorsError } from './errors.js';
import { findDuplicateKey } from './json-keys.js';

/** A tensor in a file. `begin` and `end` are byte offsets from the start of the file. */
export interface TensorEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** What a safetensors file says it holds, every claim checked against the file's size. */
export interface SafetensorsHeader {
  /** Tensors of a float type that can be decoded, by name. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Names of valid tensors of other types. */
  readonly others: readonly string[];
}

export interface HeaderOptions {
  /** Longest JSON header accepted; 1 MiB unless given. */
  readonly maxHeaderBytes?: number;
}

/** The header's length, before it: little-endian, 64 bits. */
const LENGTH_BYTES = 8;
const DEFAULT_MAX_HEADER_BYTES = 1 << 20;
const ALL_DTYPE_BYTES: Record<string, number> = { ...DTYPE_BYTES, ...OTHER_DTYPE_BYTES };

/** Parses a whole file held in memory. Throws `SafetensorsError`; never trusts a length before it is checked. */
export function parseSafetensors(file: Uint8Array, options: HeaderOptions = {}): SafetensorsHeader {
  const length = headerLength(file.subarray(0, LENGTH_BYTES), file.length, options);
  return parseHeader(file.subarray(LENGTH_BYTES, LENGTH_BYTES + length), file.length);
}

/** Parses the header of the file at `path`, reading no more than that. Throws `SafetensorsError`. */
export async function readSafetensorsHeader(path: string, options: HeaderOptions = {}): Promise<SafetensorsHeader> {
  const file = await fs.open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = new Uint8Array(Math.min(LENGTH_BYTES, size));
    await file.read(start, 0, start.length, 0);
    const header = new Uint8Array(headerLength(start, size, options));
    await file.read(header, 0, header.length, LENGTH_BYTES);
    return parseHeader(header, size);
  } finally {
    await file.close();
  }
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
  if (length === 0n) throw new SafetensorsError('header_length', 'the header is empty');
  if (length > BigInt(fileBytes - LENGTH_BYTES)) {
    throw new SafetensorsError(
      'header_length',
      `the header of ${length} bytes does not fit a file of ${fileBytes} bytes`,
    );
  }
  if (length > BigInt(limit)) {
    throw new SafetensorsError('header_too_large', `the header has ${length} bytes; at most ${limit} are accepted`);
  }
  return Number(length);
}

function parseHeader(bytes: Uint8Array, fileBytes: number): SafetensorsHeader {
  const entries = Object.entries(parseJson(bytes)).filter(([name]) => name !== '__metadata__');
  const dataStart = LENGTH_BYTES + bytes.length;
  const tensors = new Map<string, TensorEntry>();
  const others: string[] = [];
  const ranges: { name: string; begin: number; end: number }[] = [];
  for (const [name, value] of entries) {
    const entry = parseEntry(name, value);
    const [begin, end] = [dataStart + entry.begin, dataStart + entry.end];
    ranges.push({ name, begin, end });
    if (Object.hasOwn(DTYPE_BYTES, entry.dtype)) {
      tensors.set(name, { dtype: entry.dtype as Dtype, shape: entry.shape, begin, end });
    } else others.push(name);
  }
  checkContiguous(ranges, dataStart, fileBytes);
  return { tensors, others };
}

function parseJson(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw new SafetensorsError('header_not_json', 'the header is not valid UTF-8 JSON');
  }
  if (bytes[0] !== 0x7b || typeof value !== 'object') {
    throw new SafetensorsError('header_not_json', "the header is not a JSON object that starts with '{'");
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new SafetensorsError('duplicate_key', `the header has the key ${JSON.stringify(duplicate)} twice`);
  }
  const record = value as Record<string, unknown>;
  if (Object.hasOwn(record, '__metadata__')) checkMetadata(record['__metadata__']);
  return record;
}

function checkMetadata(metadata: unknown): void {
  const valid = isRecord(metadata) && Object.values(metadata).every((value) => typeof value === 'string');
  if (!valid) throw new SafetensorsError('bad_entry', '__metadata__ is not an object of strings');
}

function parseEntry(name: string, value: unknown): { dtype: string; shape: number[]; begin: number; end: number } {
  const label = JSON.stringify(name.slice(0, 100));
  if (name === '' || name.includes('\0')) {
    throw new SafetensorsError('bad_name', `the tensor name ${label} is empty or holds a NUL`);
  }
  if (!isRecord(value) || Object.keys(value).sort().join() !== 'data_offsets,dtype,shape') {
    throw new SafetensorsError('bad_entry', `tensor ${label} needs exactly dtype, shape and data_offsets`);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(ALL_DTYPE_BYTES, dtype)) {
    throw new SafetensorsError(
      'unknown_dtype',
      `tensor ${label}: dtype ${JSON.stringify(dtype)?.slice(0, 40)} is not known`,
    );
  }
  const bytes = shapeBytes(label, shape, ALL_DTYPE_BYTES[dtype] as number);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw new SafetensorsError('bad_offsets', `tensor ${label}: data_offsets are not two whole numbers`);
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== bytes) {
    throw new SafetensorsError(
      'bad_offsets',
      `tensor ${label}: ${end - begin} bytes of data, its shape needs ${bytes}`,
    );
  }
  return { dtype, shape: shape as number[], begin, end };
}

function shapeBytes(label: string, shape: unknown, elementBytes: number): number {
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw new SafetensorsError('bad_shape', `tensor ${label}: the shape is not a list of whole numbers`);
  }
  const bytes = (shape as number[]).reduce((product, dim) => product * dim, elementBytes);
  if (!Number.isSafeInteger(bytes)) throw new SafetensorsError('bad_shape', `tensor ${label}: the shape overflows`);
  return bytes;
}

/** The data follows the header without a gap or an overlap, and ends with the file. */
function checkContiguous(
  ranges: { name: string; begin: number; end: number }[],
  start: number,
  fileBytes: number,
): void {
  let at = start;
  for (const { name, begin, end } of ranges.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) {
      const what = begin < at ? 'overlaps the tensor before it' : 'leaves a gap before it';
      throw new SafetensorsError('offsets_not_contiguous', `tensor ${JSON.stringify(name.slice(0, 100))} ${what}`);
    }
    at = end;
  }
  if (at !== fileBytes) {
    throw new SafetensorsError(
      'offsets_not_contiguous',
      `the tensors end at byte ${at}, the file at byte ${fileBytes}`,
    );
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
