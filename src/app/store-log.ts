import type { StoreHealthObserver } from '../lib/store-health.js';

type Write = (line: object, message: string) => void;

/** Logs when the store begins to fail, and why, and when it works again. */
export function storeLog(log: { readonly warn: Write; readonly info: Write }): StoreHealthObserver {
  return {
    storeFails: (failure) => log.warn({ ...failure }, 'the store fails'),
    storeWorks: (seconds) => log.info({ seconds }, 'the store works again'),
  };
}
