import { StoreError, type StoreErrorReason, type StoreName } from '../lib/store-error.js';
import { systemError } from '../lib/system-error.js';

/** Reasons by the system's error codes; any other is `failing`. */
const REASONS: Readonly<Record<string, StoreErrorReason>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full', // more than the process may write to one file
  EROFS: 'read_only',
  EACCES: 'read_only',
  EPERM: 'read_only',
  // What a store uses has been there since it was opened: it was unmounted, or removed.
  ENOENT: 'unavailable',
  ENOTDIR: 'unavailable',
  ESTALE: 'unavailable',
};

/** Reading and writing for a store on disk. */
export interface DiskErrors {
  /** Awaits what only reads. Where the system fails it, throws `StoreError`. */
  reading<T>(work: () => Promise<T>): Promise<T>;
  /** As `reading`, for what writes too. */
  writing<T>(work: () => Promise<T>): Promise<T>;
}

/** Makes the functions that turn the system's errors into a `StoreError` of `store`. Other errors stay as they are. */
export function mapDiskErrors(store: StoreName): DiskErrors {
  const map = async <T>(work: () => Promise<T>, inWords: (code: string) => StoreErrorReason): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const failed = systemError(error);
      throw failed === undefined ? error : new StoreError(store, inWords(failed.code ?? ''), { cause: error });
    }
  };
  const reasonOf = (code: string): StoreErrorReason => REASONS[code] ?? 'failing';
  return {
    // What may not be read is not for that reason read-only.
    reading: (work) => map(work, (code) => (reasonOf(code) === 'read_only' ? 'failing' : reasonOf(code))),
    writing: (work) => map(work, reasonOf),
  };
}
