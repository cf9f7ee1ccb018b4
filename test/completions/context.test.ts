import { setImmediate } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { requestContext } from '../../src/completions/context.js';

describe('RequestContext.mayWrite', () => {
  /** The turn of the event loop in which each of these pieces is written. */
  const turnsOf = async (pieces: readonly number[]): Promise<number[]> => {
    const { mayWrite } = requestContext(new AbortController().signal);
    let turn = 0;
    const over = new AbortController();
    const counting = (async () => {
      for (; !over.signal.aborted; turn++) await setImmediate();
    })();
    const turns = await Promise.all(pieces.map((count) => mayWrite(count).then(() => turn)));
    over.abort();
    await counting;
    return turns;
  };

  it('lets little be written at once', async () => {
    expect(new Set(await turnsOf(Array<number>(100).fill(21))).size).toBe(1);
  });

  it('gives each large piece a turn of its own', async () => {
    expect(new Set(await turnsOf(Array<number>(8).fill(9000))).size).toBe(8);
  });

  it('shares turns among pieces of the same request', async () => {
    const size = new Set(await turnsOf(Array<number>(40).fill(1000))).size;
    expect(size).toBeGreaterThanOrEqual(10);
    expect(size).toBeLessThanOrEqual(40);
  });

  it('rejects when nobody waits any more', async () => {
    const gone = new AbortController();
    const { mayWrite } = requestContext(gone.signal);
    await mayWrite(9000);
    gone.abort();
    await expect(mayWrite(9000)).rejects.toMatchObject({ name: 'AbortError' });
  });
});
