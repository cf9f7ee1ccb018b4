import type { PrefixUpload } from '../../src/prefix/store.js';
import { storeUpload } from './fixtures.js';

/** What operation N of the crash test does: new names, more versions of names, and deletions. */
export function operationOf(number: number): { readonly kind: 'put' | 'delete'; readonly name: string } {
  return { kind: number % 7 === 6 ? 'delete' : 'put', name: `name-${(number * 3) % 5}` };
}

/** Large enough to be torn. */
export function crashUpload(name: string, number: number): PrefixUpload {
  return storeUpload(name, number, 20_000);
}

/** Names that the child repairs, in turns. */
export const REPAIRED = 5;

/** What operation N damages and uploads again. */
export function repairOf(number: number): PrefixUpload {
  return crashUpload(`name-${number % REPAIRED}`, number % REPAIRED);
}
