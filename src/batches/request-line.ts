import type { ByteLine } from '../lib/byte-lines.js';
import { isObject } from '../lib/is-object.js';
import { costOfJson } from '../lib/json-cost.js';
import type { BatchEndpoint, BatchProblem } from './batch.js';

/** A line of a batch's file: one request. */
export interface RequestLine {
  /** From 1. */
  readonly line: number;
  readonly customId: string;
  /** As it came: whether it is a request of the batch's endpoint is not checked. */
  readonly body: unknown;
}

/** Most characters of a `custom_id`. */
const MAX_CUSTOM_ID = 512;
const FIELDS = ['custom_id', 'method', 'url', 'body'] as const;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Whether a line has nothing but blanks. */
export function isBlank({ bytes }: ByteLine): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

/** Reads a line as a request for an endpoint, or says what is wrong with it: the first fault that is found. */
export function readRequestLine({ number, bytes }: ByteLine, endpoint: BatchEndpoint): RequestLine | BatchProblem {
  const fault = (code: string, param: string | null, problem: string): BatchProblem => ({
    code,
    message: `Line ${number}: ${problem}.`,
    param,
    line: number,
  });
  const cost = costOfJson(bytes);
  if (cost !== undefined) return fault('invalid_json_line', null, `this line ${cost}`);
  const value = parse(bytes);
  if (value === undefined) return fault('invalid_json_line', null, 'this is not a JSON object');
  const unknown = Object.keys(value).find((name) => !FIELDS.includes(name as (typeof FIELDS)[number]));
  if (unknown !== undefined) return fault('unknown_parameter', clip(unknown), `there is no field '${clip(unknown)}'`);
  const { custom_id: customId, method, url, body } = value;
  if (customId === undefined) return fault('missing_parameter', 'custom_id', `'custom_id' is required`);
  if (typeof customId !== 'string') return fault('invalid_type', 'custom_id', `'custom_id' must be a string`);
  if (customId === '' || customId.length > MAX_CUSTOM_ID)
    return fault('invalid_value', 'custom_id', `'custom_id' must have 1 to ${MAX_CUSTOM_ID} characters`);
  if (method === undefined) return fault('missing_parameter', 'method', `'method' is required: POST`);
  if (method !== 'POST') return fault('invalid_value', 'method', `'method' must be POST`);
  if (url === undefined) return fault('missing_parameter', 'url', `'url' is required: ${endpoint}`);
  if (url !== endpoint) return fault('invalid_value', 'url', `'url' must be the batch's endpoint, ${endpoint}`);
  if (body === undefined) return fault('missing_parameter', 'body', `'body' is required`);
  return { line: number, customId, body };
}

/** Undefined for what is not a JSON object. */
function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    return isObject(value) && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function clip(name: string): string {
  return name.length > 64 ? `${name.slice(0, 64)}...` : name;
}
