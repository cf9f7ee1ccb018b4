import type { Command } from 'commander';

import { readAdminKey, readClientKey } from '../config/config.js';
import type { ErrorEnvelope } from '../server/schema/error.js';

const DEFAULT_URL = 'http://127.0.0.1:8000';

/** A request that failed. The message is the server's, or says why no server answered. */
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
    .option('--url <url>', 'address of the server', DEFAULT_URL)
    .option('--key <key>', 'API key (default: the first of PREAMBLE_API_KEYS)');
}

/** Options of every command that the operator of a running server uses. */
export interface AdminOptions {
  readonly url: string;
  readonly adminKey?: string;
}

/** Adds `--url` and `--admin-key`. */
export function withAdminOptions(command: Command): Command {
  return command
    .option('--url <url>', 'address of the server', DEFAULT_URL)
    .option('--admin-key <key>', 'admin key (default: PREAMBLE_ADMIN_KEY)');
}

/** @throws ClientError without an admin key */
export function adminClient({ url, adminKey = readAdminKey() }: AdminOptions): Client {
  if (adminKey === undefined) throw new ClientError('no admin key: give --admin-key or set PREAMBLE_ADMIN_KEY');
  return new Client({ url, key: adminKey });
}

/**
 * Every entry of a list, page by page.
 * @param query rest of the query string, beginning with `&`
 */
export async function listAll<T>(client: Client, path: string, query = ''): Promise<T[]> {
  const entries: T[] = [];
  for (let after: string | null = ''; after !== null;) {
    const cursor: string = after && `&after=${encodeURIComponent(after)}`;
    const page: ListPage<T> = await client.json('GET', `${path}?limit=100${query}${cursor}`);
    entries.push(...page.data);
    after = page.has_more ? page.last_id : null;
  }
  return entries;
}

interface ListPage<T> {
  readonly data: readonly T[];
  readonly last_id: string | null;
  readonly has_more: boolean;
}

/** A client of a running server. */
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
