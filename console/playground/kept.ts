import { keys } from '../session/keys.js';
import { createStore } from '../ui/store.js';
import type { Exchange } from './requests.js';
import type { Setup } from './setup.js';

/** What the playground keeps while other pages are open. */
export interface Kept {
  readonly setup: Setup;
  /** Of each column, what was said and answered before. Empty where a conversation is to be held anew. */
  readonly exchanges: readonly (readonly Exchange[])[];
}

/** The playground's state; undefined until it is opened first. */
export const kept = createStore<Kept | undefined>(undefined);

// Who comes with another key is somebody else.
let owner = keys.get().tenant;
keys.subscribe(() => {
  const { tenant } = keys.get();
  if (tenant === owner) return;
  owner = tenant;
  kept.set(undefined);
});
