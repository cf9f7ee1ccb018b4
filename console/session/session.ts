import { ApiFailure, messageOf } from '../api/errors.js';
import type { Me } from '../api/types.js';
import { createStore } from '../ui/store.js';
import { call, onKeyRefused } from '../api/client.js';
import { keepKey, keys } from './keys.js';

/** What the console knows of who uses it. */
export type Session =
  | { readonly state: 'opening'; readonly problem?: string }
  /** A key is needed; `reason` says why the last one does not do. */
  | { readonly state: 'closed'; readonly reason: string | undefined }
  /** A tenant's key, or a server without keys. */
  | { readonly state: 'open'; readonly me: Me }
  /** The operator's key alone. */
  | { readonly state: 'operator' };

/** From one question to a server that is away, or fails, to the next. */
const RETRY_MS = 2000;

/** The session of this tab. */
export const session = createStore<Session>({ state: 'opening' });

/**
 * Asks the server who this is; with the operator's key alone, only that key is tried. Waits for a server that is away or fails: only a refusal
 * says something of the key.
 */
export async function openSession(): Promise<void> {
  try {
    session.set({ state: 'open', me: await call<Me>('me') });
  } catch (error) {
    if (!isRefusal(error)) {
      if (session.get().state !== 'open') session.set({ state: 'opening', problem: messageOf(error) });
      setTimeout(() => void openSession(), RETRY_MS);
      return;
    }
    const { tenant, operator } = keys.get();
    if (operator !== undefined && (await isOperatorKey(operator))) {
      session.set({ state: 'operator' });
      return;
    }
    const isRefusedKey = error.status === 401;
    const refused = tenant === undefined ? undefined : 'The server does not accept this key.';
    session.set({ state: 'closed', reason: isRefusedKey ? refused : error.message });
  }
}

function isRefusal(error: unknown): error is ApiFailure {
  return error instanceof ApiFailure && error.status < 500 && error.status !== 429;
}

/**
 * Keeps a key for this tab and opens the session with it. Finds out whose it is: a tenant's, or the operator's.
 * @param asOperator whether it is the operator's or none: a tenant's key that is in use stays
 */
export async function signIn(key: string, asOperator: boolean): Promise<void> {
  const isOperators = await isOperatorKey(key);
  if (isOperators) keepKey('operator', key);
  else if (asOperator) return;
  else keepKey('tenant', key);
  await openSession();
}

/** Forgets the keys of this tab, and what its address has of a run. */
export async function signOut(): Promise<void> {
  session.set({ state: 'opening' });
  location.replace('#/');
  keepKey('tenant', undefined);
  keepKey('operator', undefined);
  await openSession();
}

/** Asks again for what the session shows of limits and use. */
export async function refreshSession(): Promise<void> {
  if (session.get().state === 'open') await openSession();
}

/** Whether a key is the operator's. It is kept only once that is known: a page of the operator's opens as soon as there is one. */
async function isOperatorKey(key: string): Promise<boolean> {
  try {
    await call('admin/tenants?limit=1', { key });
    return true;
  } catch {
    return false;
  }
}

onKeyRefused((kind) => {
  if (kind === 'operator') keepKey('operator', undefined);
  if (kind === 'operator' || session.get().state !== 'open') return;
  const had = keys.get().tenant !== undefined;
  keepKey('tenant', undefined);
  session.set({ state: 'closed', reason: had ? 'The server does not accept this key any more.' : undefined });
});
