import { createStore } from '../ui/store.js';

/** Whose key: a tenant's, for all that is below `/v1`, or the operator's, for `/v1/admin`. */
export type KeyKind = 'tenant' | 'operator';

const NAMES: Readonly<Record<KeyKind, string>> = { tenant: 'preamble.key', operator: 'preamble.operator-key' };

/**
 * The keys of this tab. They are kept in the tab's session storage, which ends with the tab, and are sent to the server that the console comes
 * from and to no other.
 */
export const keys = createStore<Readonly<Partial<Record<KeyKind, string>>>>(readKeys());

/** Keeps a key; undefined forgets it. */
export function keepKey(kind: KeyKind, key: string | undefined): void {
  const { [kind]: _, ...others } = keys.get();
  if (key === undefined) sessionStorage.removeItem(NAMES[kind]);
  else sessionStorage.setItem(NAMES[kind], key);
  keys.set(key === undefined ? others : { ...others, [kind]: key });
}

function readKeys(): Partial<Record<KeyKind, string>> {
  const entries = (Object.keys(NAMES) as KeyKind[]).map((kind) => [kind, sessionStorage.getItem(NAMES[kind])] as const);
  return Object.fromEntries(entries.filter(([, key]) => key !== null));
}
