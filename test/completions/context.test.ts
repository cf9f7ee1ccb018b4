import { setImmediate } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { requestContext } from '../../src/completions/context.js';

/** Writes pieces of requests, one list for each, and returns the turn of the event loop in which each came. */
async function turnsOf(...requests: readonly (readonly number[])[]): Promise<number[][]> {
  await setImmediate(); // what other tests wrote is over
  let turn = 0;
  const over = new AbortController();
  const counting = (async () => {
    for (; !over.signal.aborted; turn++) await setImmediate();
  })();
  const turns = requests.map((pieces) => {
    const { mayWrite } = requestContext(new AbortController().signal);
    return Promise.all(pieces.map((count) => mayWrite(count).then(() => turn)));
  });
  const all = await Promise.all(turns);
  over.abort();
  await counting;
  return all;
}

describe('RequestContext.mayWrite', () => {
  it('lets little be written at once', async () => {
    expect(new Set((await turnsOf(Array<number>(90).fill(21))).flat()).size).toBe(1);
  });

  it('gives large pieces of different requests different turns, one request after the other', async () => {
    const [one = [], other = []] = await turnsOf([9000, 9000, 9000], [9000, 9000, 9000]);
    expect(new Set([...one, ...other]).size).toBe(6);
    expect(Math.max(...one)).toBeLessThan(Math.max(...other));
    expect(Math.min(...other)).toBeLessThan(one[1] ?? 0);
  });

  it('lets a small piece pass while large ones of others wait', async () => {
    const [large = [], small = []] = await turnsOf(Array<number>(8).fill(9000), [21]);
    expect(small[0]).toBe(Math.min(...large));
  });

  it('gives each large piece a turn of its own', async () => {
    expect(new Set((await turnsOf(Array<number>(8).fill(9000))).flat()).size).toBe(8);
  });

  it('shares turns among pieces of the same request', async () => {
    const size = new Set((await turnsOf(Array<number>(40).fill(1000))).flat()).size;
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
