import { StoreError } from '../lib/store-error.js';

/** Tells whether a job can be done when a store is back. A full store of prefixes ends a job: its owner can make room. */
export function isStoreAway(error: unknown): boolean {
  return error instanceof StoreError && (error.store !== 'prefixes' || error.code === 'store_unavailable');
}
