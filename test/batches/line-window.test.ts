import { setImmediate as tick } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { type LinePermit, LineWindow } from '../../src/batches/line-window.js';

const never = new AbortController().signal;

/** Takes permits, and tells in which order they are given. */
function takerOf(window: LineWindow): { take: (tenant: string, signal?: AbortSignal) => LinePermit; given: string[] } {
  const given: string[] = [];
  const take = (tenant: string, signal = never): LinePermit => {
    const permit = window.permit(tenant);
    permit.acquire(signal).then(
      () => given.push(tenant),
      () => given.push(`${tenant} left`),
    );
    return permit;
  };
  return { take, given };
}

it('gives the next place to the tenant with the fewest lines under way', async () => {
  const { take, given } = takerOf(new LineWindow(4));
  const permits = Array.from({ length: 8 }, () => take('a'));
  for (let i = 0; i < 4; i++) take('b');
  await tick();
  expect(given).toEqual(['a', 'a', 'a', 'a']);
  for (const permit of permits.slice(0, 4)) permit.release();
  await tick();
  expect(given.slice(4)).toEqual(['b', 'b', 'a', 'a']); // two each by then
});

it('forgets who leaves, and takes a permit back once', async () => {
  const { take, given } = takerOf(new LineWindow(1));
  const leaving = new AbortController();
  const first = take('a');
  take('b', leaving.signal).release(); // not held yet: nothing to give back
  take('c');
  await tick();
  leaving.abort();
  first.release();
  first.release();
  take('d');
  await tick();
  expect(given).toEqual(['a', 'b left', 'c']);
});
