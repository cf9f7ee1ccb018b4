import { expect, it } from 'vitest';

import { ConcurrencyLimit } from '../../src/lib/concurrency-limit.js';

it('runs so many at once, in order, also after failures', async () => {
  const limit = new ConcurrencyLimit(2);
  const started: number[] = [];
  const finish: (() => void)[] = [];
  const tasks = Array.from({ length: 5 }, (_, i) =>
    limit.run(async () => {
      started.push(i);
      await new Promise<void>((resolve) => (finish[i] = resolve));
      if (i === 1) throw new Error('failed');
      return i;
    }),
  );
  const results = Promise.allSettled(tasks);
  expect(started).toEqual([0, 1]);
  for (const [i, running] of [
    [1, [0, 1, 2]],
    [2, [0, 1, 2, 3]],
    [0, [0, 1, 2, 3, 4]],
  ] as const) {
    finish[i]?.();
    await expect.poll(() => started).toEqual(running);
  }
  for (const i of [3, 4]) finish[i]?.();
  expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', ...Array(3).fill('fulfilled')]);
});
