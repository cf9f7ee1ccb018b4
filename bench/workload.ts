import type { PrefixKv } from '#src/prefix/kv.js';
import { uniform } from './random-model.js';

export const PREFIX_LENGTH = 20;
/** The server's default, and so what a prompt is cut into. */
const CHUNK_TOKENS = 64;

/** What one user asks for. */
export interface UserRequest {
  /** Names the user's prefix too. */
  readonly user: string;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
}

/**
 * The requests of `rows` users that start together. Prompts enter one after another, so every row generates long enough that
 * all of them decode together for about `tokens` steps, at a mean length of about `context` positions, the prefix included.
 */
export function workload(rows: number, context: number, tokens: number): UserRequest[] {
  const longest = context - PREFIX_LENGTH;
  const stagger = rows * Math.ceil(longest / CHUNK_TOKENS);
  const promptLength = Math.max(1, Math.round(longest - (stagger + tokens) / 2));
  return Array.from({ length: rows }, (_, row) => ({
    user: userName(row),
    prompt: randomPrompt(row, promptLength),
    maxTokens: stagger + tokens,
  }));
}

export function userName(row: number): string {
  return `users/${row}`;
}

/** A user's prefix: random keys and values `[PREFIX_LENGTH, columns]`. */
export function randomPrefix(user: string, columns: number): PrefixKv {
  const next = uniform(user);
  return { length: PREFIX_LENGTH, rows: Float32Array.from({ length: PREFIX_LENGTH * columns }, () => next() / 2) };
}

function randomPrompt(row: number, length: number): number[] {
  const next = uniform(`prompt/${row}`);
  return Array.from({ length }, () => Math.floor((next() + 1) * 25_000));
}

/** How fast one run was. */
export interface Rates {
  /** Tokens per second while every row was decoding: no prompts, nobody finished. */
  readonly decode: number;
  /** Generated tokens over the whole time, prompts included. */
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
  const from = Math.max(...firsts);
  const to = Math.min(...lasts);
  const together = arrivals.flat().filter((time) => time > from && time <= to).length;
  return {
    decode: perSecond(together, to - from),
    overall: perSecond(arrivals.flat().length, Math.max(...lasts) - start),
    firstToken: median(firsts) - start,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

function perSecond(count: number, milliseconds: number): number {
  return (1000 * count) / milliseconds;
}
