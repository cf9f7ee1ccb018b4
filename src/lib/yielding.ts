import { setImmediate } from 'node:timers/promises';

/** How long signals and messages may wait. Milliseconds. */
const TURN = 50;

/** As `items.map(work)`, for many items: others have their turns of the event loop between. Throws the signal's reason. */
export async function mapInTurns<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => R,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  let began = performance.now();
  for (const [index, item] of items.entries()) {
    if (performance.now() - began > TURN) {
      await setImmediate();
      began = performance.now();
    }
    signal?.throwIfAborted();
    results.push(work(item, index));
  }
  return results;
}
