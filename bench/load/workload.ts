import { defaultConfig } from '#src/config/config.js';
import { type PrefixKv, rowWidth, selfKv } from '#src/prefix/kv.js';
import { GPT2_124M, uniform } from '../inputs/random-model.js';
import { randomTokens } from './token-stream.js';
import { median } from '../report/statistics.js';

export const PREFIX_LENGTH = 20;
const { layers, heads, width } = GPT2_124M;
/** Values of a virtual token of the bench's GPT-2: its key and value in every layer. */
export const PREFIX_COLUMNS = rowWidth({ name: 'self', layers, kvHeads: heads, headDim: width / heads });
/** Tokens of a prompt's chunk beside decode rows. */
const CHUNK_TOKENS = defaultConfig().maxChunkTokens;

/** Request of one user. */
export interface UserRequest {
  /** Name of the user and of the user's prefix. */
  readonly user: string;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
}

/**
 * The requests of `rows` users that start together. Prompts enter one after another, so every row generates long enough that
 * all of them decode together for about `tokens` steps, at a mean length of about `context` positions, the prefix included.
 */
export function workload(rows: number, context: number, tokens: number): UserRequest[] {
  const mean = context - PREFIX_LENGTH;
  const maxTokens = (promptLength: number): number => rows * Math.ceil(promptLength / CHUNK_TOKENS) + tokens;
  let promptLength = mean;
  while (promptLength > 1 && promptLength + maxTokens(promptLength) / 2 > mean) promptLength--;
  return Array.from({ length: rows }, (_, row) => ({
    user: userName(row),
    prompt: randomPrompt(row, promptLength),
    maxTokens: maxTokens(promptLength),
  }));
}

export function userName(row: number): string {
  return `users/${row}`;
}

/** A user's prefix: random keys and values `[PREFIX_LENGTH, columns]`. */
export function randomPrefix(user: string, columns: number, length = PREFIX_LENGTH): PrefixKv {
  const next = uniform(user);
  return selfKv(
    length,
    Float32Array.from({ length: length * columns }, () => next() / 2),
  );
}

/** Random prompt; those of one row begin alike, whatever their length. */
export function randomPrompt(row: number, length: number): number[] {
  return randomTokens(`prompt/${row}`, length);
}

/** Rates of one run. */
export interface Rates {
  /** Tokens per second while every row was decoding: no prompts, nobody finished. */
  readonly decode: number;
  /** Generated tokens per second over the whole time, prompts included. */
  readonly overall: number;
  /** Milliseconds to the first token, the median of the rows. */
  readonly firstToken: number;
}

/**
 * @param start when the requests were sent, in milliseconds
 * @param arrivals for each row, when each of its tokens arrived
 */
export function rates(start: number, arrivals: readonly (readonly number[])[]): Rates {
  const firsts = arrivals.map((row) => row[0] ?? NaN);
  const lasts = arrivals.map((row) => row.at(-1) ?? NaN);
  return {
    decode: decodeRate(arrivals, Math.max(...firsts), Math.min(...lasts)),
    overall: perSecond(arrivals.flat().length, Math.max(...lasts) - start),
    firstToken: median(firsts) - start,
  };
}

/** Every row's own rate between `from` and `to`, added up: where a step is cut by either moment does not matter. */
function decodeRate(arrivals: readonly (readonly number[])[], from: number, to: number): number {
  return arrivals
    .map((row) => row.filter((time) => time >= from && time <= to))
    .map((row) => perSecond(row.length - 1, (row.at(-1) ?? NaN) - (row[0] ?? NaN)))
    .reduce((sum, rate) => sum + rate, 0);
}

function perSecond(count: number, milliseconds: number): number {
  return (1000 * count) / milliseconds;
}
