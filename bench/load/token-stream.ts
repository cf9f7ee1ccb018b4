import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import { uniform } from '../inputs/random-model.js';

/** Every model that the bench makes with a whole vocabulary has these many tokens. */
const SMALLEST_VOCABULARY = 49_000;

/** A completion of exactly `maxTokens` tokens, drawn greedily. */
export interface Ask {
  /** The base model's id or a prefix's. */
  readonly model: string;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
}

/** A streamed completion under way. */
export class TokenStream {
  /** When each token arrived, by `performance.now()`. */
  readonly arrivals: number[] = [];
  /** Settles when the last token is here, or when the stream was cancelled; rejects with what the server says. */
  readonly done: Promise<void>;
  readonly #abort = new AbortController();
  /** Called at each token. */
  readonly #waiting = new Set<() => void>();

  constructor(url: string, ask: Ask) {
    this.done = this.#read(url, ask).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) throw error;
    });
    this.done.catch(() => undefined); // whoever waits for it gets the error
  }

  /** Resolves when `count` tokens are here, with the time at which the last of them came. */
  async token(count: number): Promise<number> {
    const arrived = new Promise<void>((resolve) => {
      const check = (): void => {
        if (this.arrivals.length < count) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
    const ended = this.done.then(() => {
      if (this.arrivals.length < count) throw new Error(`${this.arrivals.length} tokens, not ${count}`);
    });
    await Promise.race([arrived, ended]);
    return this.arrivals[count - 1] as number;
  }

  /** Disconnects: the server gives the slot back. */
  async cancel(): Promise<void> {
    this.#abort.abort();
    await this.done;
  }

  async #read(url: string, { model, prompt, maxTokens }: Ask): Promise<void> {
    const body = { model, prompt, max_tokens: maxTokens, temperature: 0, ignore_eos: true, stream: true };
    const outgoing = request(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      agent: false,
      signal: this.#abort.signal,
    });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('error', reject).once('response', resolve);
    });
    outgoing.end(JSON.stringify({ ...body, return_token_ids: true }));
    const incoming = await response;
    if (incoming.statusCode !== 200) throw new Error(`${incoming.statusCode}: ${await text(incoming)}`);
    for await (const line of createInterface({ input: incoming })) if (line.startsWith('data: {')) this.#accept(line);
  }

  #accept(line: string): void {
    const event = JSON.parse(line.slice('data: '.length)) as {
      choices?: { token_ids?: number[] }[];
      error?: unknown;
    };
    if (event.error !== undefined) throw new Error(line);
    const now = performance.now();
    for (const { token_ids: ids = [] } of event.choices ?? []) ids.forEach(() => this.arrivals.push(now));
    for (const check of this.#waiting) check();
  }
}

/** Milliseconds from sending a request to its first token; the stream is read to its end. */
export async function timeToFirstToken(url: string, ask: Ask): Promise<number> {
  const begin = performance.now();
  const stream = new TokenStream(url, ask);
  const first = await stream.token(1);
  await stream.done;
  return first - begin;
}

/** Milliseconds between tokens of the streams that came after `from` and until `to`. */
export function gaps(streams: readonly TokenStream[], from: number, to: number): number[] {
  return streams.flatMap(({ arrivals }) =>
    arrivals.flatMap((time, index) => {
      const before = arrivals[index - 1];
      return before !== undefined && time > from && time <= to ? [time - before] : [];
    }),
  );
}

/** Quantile of the values; `part` is 0.95 for the 95th percentile. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(part * sorted.length) - 1] ?? NaN;
}

/** Random token ids of a prompt, the same for the same seed. */
export function randomTokens(seed: string, length: number): number[] {
  const next = uniform(seed);
  return Array.from({ length }, () => Math.floor(((next() + 1) * SMALLEST_VOCABULARY) / 2));
}
