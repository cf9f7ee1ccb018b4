import { StoreError, type StoreName } from '../lib/store-error.js';
import { redisFailure } from './errors.js';

/** Converts a failure of Redis to a `StoreError` of `store`. Other errors stay as they are. */
export function asStoreError(store: StoreName, error: unknown): unknown {
  const reason = redisFailure(error);
  return reason === undefined ? error : new StoreError(store, reason, { cause: error });
}

/** Makes a function that awaits an answer for `store` and throws failures of Redis as `StoreError`. */
export function mapRedisErrors(store: StoreName): <T>(answer: Promise<T>) => Promise<T> {
  return async (answer) => {
    try {
      return await answer;
    } catch (error) {
      throw asStoreError(store, error);
    }
  };
}
