import { type KeyKind, keys } from '../session/keys.js';
import { createStore } from '../ui/store.js';
import { ApiFailure, ServerAway } from './errors.js';
import type { ErrorEnvelope } from './types.js';

/** A request to the API. */
export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** A body that is sent as JSON. */
  readonly json?: unknown;
  /** A body that is sent as a form. */
  readonly form?: FormData;
  /** Whose key is sent; a tenant's unless given. */
  readonly as?: KeyKind;
  /** A key to try, in place of the one that is kept. */
  readonly key?: string;
  readonly signal?: AbortSignal;
}

/** Whether the last request found no server. */
export const serverIsAway = createStore(false);

/** From one look for a server that is away to the next. */
const LOOK_EVERY_MS = 2000;

let keyRefused: (kind: KeyKind) => void = () => undefined;

/** Sets what is called when the server refuses a key. */
export function onKeyRefused(listener: (kind: KeyKind) => void): void {
  keyRefused = listener;
}

/**
 * Sends a request and reads the JSON of its answer.
 * @param path below `/v1/`, with its query
 * @throws ApiFailure, ServerAway
 */
export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const answer = await send(path, options);
  try {
    return (await answer.json()) as T;
  } catch {
    throw new ServerAway('The answer broke off.');
  }
}

/**
 * Sends a request. The answer is there, and is no error.
 * @param path below `/v1/`, with its query
 * @throws ApiFailure, ServerAway; AbortError where `signal` ends it
 */
export async function send(path: string, options: CallOptions = {}): Promise<Response> {
  const { as = 'tenant', signal, json, form, method = (json ?? form) ? 'POST' : 'GET' } = options;
  const headers = headersOf(options.key ?? keys.get()[as], json !== undefined);
  const body = json === undefined ? form : JSON.stringify(json);
  let answer: Response;
  try {
    answer = await fetch(apiUrl(path), {
      method,
      headers,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      ...(body !== undefined && { body }),
      ...(signal && { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    lookForServer();
    throw new ServerAway();
  }
  if (answer.ok) return answer;
  const failure = await failureOf(answer);
  if (failure.status === 401 && options.key === undefined) keyRefused(as);
  throw failure;
}

function headersOf(key: string | undefined, isJson: boolean): Headers {
  const headers = new Headers(isJson ? { 'content-type': 'application/json' } : {});
  try {
    if (key !== undefined) headers.set('authorization', `Bearer ${key}`);
  } catch {
    throw new ApiFailure(400, 'This is no key: it has characters that cannot be sent.', 'invalid_api_key', null);
  }
  return headers;
}

/** The address of a route, beside the page's own: right behind a proxy that serves the console below a path of its own, too. */
export function apiUrl(path: string): string {
  return new URL(`../v1/${path}`, document.baseURI.replace(/#.*$/, '')).href;
}

async function failureOf(answer: Response): Promise<ApiFailure> {
  const text = await answer.text().catch(() => '');
  try {
    const { error } = JSON.parse(text) as ErrorEnvelope;
    return new ApiFailure(answer.status, error.message, error.code ?? '', error.param);
  } catch {
    return new ApiFailure(answer.status, `The server answered with status ${answer.status}.`, '', null);
  }
}

/** Remembers that the server is away, until it answers again. */
function lookForServer(): void {
  if (serverIsAway.get()) return;
  serverIsAway.set(true);
  const look = async (): Promise<void> => {
    const isBack = await fetch(new URL('../livez', apiUrl('')), { cache: 'no-store' }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isBack) serverIsAway.set(false);
    else setTimeout(() => void look(), LOOK_EVERY_MS);
  };
  setTimeout(() => void look(), LOOK_EVERY_MS);
}
