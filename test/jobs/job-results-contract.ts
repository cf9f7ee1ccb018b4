import { buffer } from 'node:stream/consumers';

import { beforeEach, describe, expect, it } from 'vitest';

import type { JobRef } from '../../src/jobs/job.js';
import type { JobResult, JobResultStore, OpenResults } from '../../src/jobs/job-results.js';

/** A result with a text of several bytes a character. */
export const result = (number: number, list = 'output', counts: JobResult['counts'] = { done: 1 }): JobResult => ({
  number,
  list,
  text: `{"é\\n":${number}}`,
  counts,
});

/** The lines of a list, sorted. */
export async function linesOf(results: OpenResults, list: string): Promise<string[]> {
  const text = (await buffer(results.read(list))).toString();
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text.split('\n').slice(0, -1).sort();
}

/** What every `JobResultStore` must do. `makeStore` gives each test a store in which the job runs. */
export function describeJobResults(
  kind: string,
  makeStore: () => Promise<{ store: JobResultStore; job: JobRef }>,
): void {
  describe(`${kind} keeps the contract of results`, () => {
    let store: JobResultStore;
    let job: JobRef;
    beforeEach(async () => {
      ({ store, job } = await makeStore());
    });

    it('has what was added, by list, and its sums, also when it is opened again', async () => {
      const first = await store.open(job);
      await Promise.all([
        first.add([result(1), result(30, 'error', { failed: 1 })]),
        first.add([result(2, 'output', { done: 1, tokens: 40 })]),
        first.add([]),
      ]);
      await first.add([result(9, 'output', { done: 1, tokens: 2 })]);
      for (const results of [first, await store.open(job)]) {
        expect([1, 2, 9, 30].map((number) => results.has(number))).toEqual([true, true, true, true]);
        expect([3, 0, 10].some((number) => results.has(number))).toBe(false);
        expect(await results.counts()).toEqual({ done: 3, failed: 1, tokens: 42 });
        expect(await linesOf(results, 'output')).toEqual([1, 2, 9].map((number) => result(number).text));
        expect(await linesOf(results, 'error')).toEqual([result(30).text]);
        expect(await linesOf(results, 'other')).toEqual([]);
        await results.close();
      }
    });

    it('keeps the first result of a part, and counts it once', async () => {
      const results = await store.open(job);
      await results.add([result(1)]);
      await results.add([{ ...result(1, 'error'), text: 'second' }]);
      expect(await results.counts()).toEqual({ done: 1 });
      expect([await linesOf(results, 'output'), await linesOf(results, 'error')]).toEqual([[result(1).text], []]);
      await results.close();
    });

    it('has thousands of results, and long ones', async () => {
      const results = await store.open(job);
      const long = { ...result(1), text: 'x'.repeat(300_000) };
      await results.add([long, ...Array.from({ length: 3000 }, (_, i) => result(i + 2))]);
      const again = await store.open(job);
      expect(await again.counts()).toEqual({ done: 3001 });
      expect(new Set(await linesOf(again, 'output')).size).toBe(3001);
      expect(await linesOf(again, 'output')).toContain(long.text);
      for (const each of [results, again]) await each.close();
    });

    it('forgets what is deleted, and has nothing of another job', async () => {
      const results = await store.open(job);
      await results.add([result(1)]);
      await results.close();
      const other = await store.open({ ...job, id: `${job.id}0` });
      expect([other.has(1), await other.counts()]).toEqual([false, {}]);
      await other.close();
      await store.delete(job);
      await store.delete(job);
      const again = await store.open(job);
      expect([again.has(1), await again.counts(), await linesOf(again, 'output')]).toEqual([false, {}, []]);
      await again.close();
    });
  });
}
