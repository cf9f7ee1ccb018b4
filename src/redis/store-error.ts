import { StoreError, type StoreName } from '../lib/store-error.js';
import { redisFailure } from './errors.js';

/** A failure of Redis as a `StoreError` of the store that asked; any other error as it is. */
export function asStoreError(store: StoreName, error: unknown): unknown {
  const reason = redisFailure(error);
  return reason === undefined ? error : new StoreError(store, reason, { cause: error });
}

/** Passes answers for one store on, and throws failures of Redis as `asStoreError` has them. */
export function mapRedisErrors(store: StoreName): <T>(answer: Promise<T>) => Promise<T> {
  return async (answer) => {
    try {
      return await answer;
    } catch (error) {
      throw asStoreError(store, error);
    }
  };
}
