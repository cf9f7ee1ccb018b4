import { setImmediate } from 'node:timers/promises';

/** Longest time that signals and messages wait. */
const YIELD_AFTER_MS = 50;

/** `items.map(work)` for many items, which yields to the event loop between two of them. Throws the signal's reason. */
export async function yieldBetween<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => R,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  let began = performance.now();
  for (const [index, item] of items.entries()) {
    if (performance.now() - began > YIELD_AFTER_MS) {
      await setImmediate();
      began = performance.now();
    }
    signal?.throwIfAborted();
    results.push(work(item, index));
  }
  return results;
}
