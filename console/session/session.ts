import { ApiFailure, messageOf, ServerAway } from '../api/errors.js';
import type { Me } from '../api/types.js';
import { createStore } from '../ui/store.js';
import { call, onKeyRefused } from '../api/client.js';
import { keepKey, keys } from './keys.js';

/** What the console knows of who uses it. */
export type Session =
  | { readonly state: 'opening' }
  /** A key is needed; `reason` says why the last one does not do. */
  | { readonly state: 'closed'; readonly reason: string | undefined }
  /** A tenant's key, or a server without keys. */
  | { readonly state: 'open'; readonly me: Me }
  /** The operator's key alone. */
  | { readonly state: 'operator' };

/** From one question to a server that is away to the next. */
const RETRY_MS = 2000;

/** The session of this tab. */
export const session = createStore<Session>({ state: 'opening' });

/** Asks the server who this is; with the operator's key alone, only that key is tried. Waits for a server that is away. */
export async function openSession(): Promise<void> {
  try {
    session.set({ state: 'open', me: await call<Me>('me') });
  } catch (error) {
    if (error instanceof ServerAway) {
      setTimeout(() => void openSession(), RETRY_MS);
      return;
    }
    const { tenant, operator } = keys.get();
    if (operator !== undefined && (await isOperator(operator))) {
      session.set({ state: 'operator' });
      return;
    }
    const reason =
      tenant === undefined && error instanceof ApiFailure && error.status === 401 ? undefined : messageOf(error);
    session.set({ state: 'closed', reason });
  }
}

/** Keeps a key for this tab and opens the session with it. Finds out whose it is: a tenant's, or the operator's. */
export async function signIn(key: string): Promise<void> {
  keepKey((await isOperator(key)) ? 'operator' : 'tenant', key);
  await openSession();
}

/** Forgets the keys of this tab. */
export async function signOut(): Promise<void> {
  keepKey('tenant', undefined);
  keepKey('operator', undefined);
  await openSession();
}

/** Asks again for what the session shows of limits and use. */
export async function refreshSession(): Promise<void> {
  if (session.get().state === 'open') await openSession();
}

/** Whether a key is the operator's. It is kept only once that is known: a page of the operator's opens as soon as there is one. */
async function isOperator(key: string): Promise<boolean> {
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
