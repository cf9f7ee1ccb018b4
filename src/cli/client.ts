import type { Command } from 'commander';

import { readClientKey } from '../config.js';
import type { ErrorEnvelope } from '../server/schemas/error.js';

/** A request that did not succeed: the server's own words, or why there was no server. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
}

/** Options of every command that talks to a running server. */
export interface ClientOptions {
  readonly url: string;
  readonly key?: string;
}

/** Adds `--url` and `--key`. */
export function withClientOptions(command: Command): Command {
  return command
    .option('--url <url>', 'address of the server', 'http://127.0.0.1:8000')
    .option('--key <key>', 'API key (default: the first of PREAMBLE_API_KEYS)');
}

/** Talks to a running server. */
export class Client {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ url, key = readClientKey() }: ClientOptions) {
    this.#base = url.replace(/\/+$/, '');
    this.#headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  /** A JSON answer. */
  async json<T>(method: string, path: string, body?: object): Promise<T> {
    const init = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return (await (await this.#fetch(path, { method, ...init })).json()) as T;
  }

  /** Sends a form. */
  async form<T>(path: string, body: FormData): Promise<T> {
    return (await (await this.#fetch(path, { method: 'POST', body })).json()) as T;
  }

  /** Downloads a file. */
  async bytes(path: string): Promise<Uint8Array> {
    return new Uint8Array(await (await this.#fetch(path, { method: 'GET' })).arrayBuffer());
  }

  async #fetch(path: string, { headers, ...init }: RequestInit): Promise<Response> {
    const request = { ...init, headers: { ...this.#headers, ...(headers as Record<string, string>) } };
    const response = await fetch(`${this.#base}${path}`, request).catch((error: Error) => {
      throw new ClientError(
        `no answer from ${this.#base}: ${(error.cause as Error | undefined)?.message ?? error.message}`,
      );
    });
    if (!response.ok) throw new ClientError(await describe(response));
    return response;
  }
}

async function describe(response: Response): Promise<string> {
  const envelope = (await response.json().catch(() => undefined)) as Partial<ErrorEnvelope> | undefined;
  if (!envelope?.error) return `the server answered ${response.status}`;
  return `${envelope.error.message} (${envelope.error.code ?? response.status})`;
}
