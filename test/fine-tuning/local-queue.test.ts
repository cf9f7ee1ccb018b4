import { describe, expect, it } from 'vitest';

import { newJobId } from '../../src/fine-tuning/job.js';
import { LocalQueue } from '../../src/fine-tuning/local-queue.js';

const ref = (tenant: string) => ({ tenant, id: newJobId() });

describe('the local queue', () => {
  it('lets tenants take turns, and does the jobs of each in order', async () => {
    const queue = new LocalQueue(1);
    const jobs = ['a', 'a', 'a', 'b', 'c', 'b'].map(ref);
    for (const job of jobs) await queue.add(job);
    const done: string[] = [];
    await queue.work(async ({ tenant, id }) => {
      done.push(`${tenant}${jobs.findIndex((job) => job.id === id)}`);
      return 'done';
    });
    await expect.poll(() => done).toEqual(['a0', 'b3', 'c4', 'a1', 'b5', 'a2']);
    await queue.close();
  });

  it('does as many at a time as it has workers, and interrupts them when it closes', async () => {
    const queue = new LocalQueue(2);
    let running = 0;
    await queue.work(async (_, leaving) => {
      running++;
      await new Promise((resolve) => leaving.addEventListener('abort', resolve));
      running--;
      return 'interrupted';
    });
    for (let i = 0; i < 3; i++) await queue.add(ref('t'));
    expect(running).toBe(2);
    await queue.close();
    expect(running).toBe(0);
  });

  it('does a job again whose store was away, until it is done', async () => {
    const queue = new LocalQueue(1, 1);
    const job = ref('t');
    const seen: string[] = [];
    await queue.work(async ({ id }) => {
      seen.push(id);
      if (seen.length < 3) throw new Error('away');
      return 'done';
    });
    await queue.add(job);
    await expect.poll(() => seen).toEqual([job.id, job.id, job.id]);
    await queue.close();
  });
});
