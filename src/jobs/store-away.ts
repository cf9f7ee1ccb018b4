import { StoreError, type StoreErrorCode } from '../lib/store-error.js';

const WAITED_FOR: readonly StoreErrorCode[] = ['store_unavailable', 'store_read_only'];

/** Tells whether a job can be done when a store is back, or takes writes. A full store of prefixes ends a job: its owner can make room. */
export function isStoreAway(error: unknown): boolean {
  return error instanceof StoreError && (error.store !== 'prefixes' || WAITED_FOR.includes(error.code));
}
