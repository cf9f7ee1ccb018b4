import { describe, expect, it } from 'vitest';

import { FINE_TUNING } from '../../src/fine-tuning/job.js';
import { newJobId } from '../../src/jobs/job.js';
import type { JobOutcome } from '../../src/jobs/job-queue.js';
import { LocalQueue } from '../../src/jobs/local-queue.js';
import { workerOf } from './fixtures.js';

const ref = (tenant: string) => ({ tenant, id: newJobId(FINE_TUNING) });

describe('the local queue', () => {
  it('lets tenants take turns, and does the jobs of each in order', async () => {
    const queue = new LocalQueue(1);
    const jobs = ['a', 'a', 'a', 'b', 'c', 'b'].map(ref);
    for (const job of jobs) await queue.add(job);
    const done: string[] = [];
    await queue.work(
      workerOf(async ({ tenant, id }) => {
        done.push(`${tenant}${jobs.findIndex((job) => job.id === id)}`);
        return 'done';
      }),
    );
    await expect.poll(() => done).toEqual(['a0', 'b3', 'c4', 'a1', 'b5', 'a2']);
    await queue.close();
  });

  it('does as many at a time as it has workers, and interrupts them when it closes', async () => {
    const queue = new LocalQueue(2);
    let running = 0;
    await queue.work(
      workerOf(async (_, leaving) => {
        running++;
        await new Promise((resolve) => leaving.addEventListener('abort', resolve));
        running--;
        return 'interrupted';
      }),
    );
    for (let i = 0; i < 3; i++) await queue.add(ref('t'));
    expect(running).toBe(2);
    await queue.close();
    expect(running).toBe(0);
  });

  it('does a job again whose store was away, until it is done', async () => {
    const queue = new LocalQueue(1, 1);
    const job = ref('t');
    const seen: string[] = [];
    await queue.work(
      workerOf(async ({ id }) => {
        seen.push(id);
        if (seen.length < 3) throw new Error('away');
        return 'done';
      }),
    );
    await queue.add(job);
    await expect.poll(() => seen).toEqual([job.id, job.id, job.id]);
    await queue.close();
  });

  it('has a job once, however often it is added, and again when it has been done', async () => {
    const queue = new LocalQueue(1);
    const [first, second] = [ref('t'), ref('t')];
    const seen: string[] = [];
    let end: (outcome: JobOutcome) => void = () => undefined;
    await queue.work(
      workerOf(({ id }) => {
        seen.push(id);
        return new Promise((resolve) => (end = resolve));
      }),
    );
    for (const job of [first, first, second, second, first]) await queue.add(job);
    expect(seen).toEqual([first.id]);
    end('done');
    await expect.poll(() => seen).toEqual([first.id, second.id]);
    await queue.add(first);
    end('done');
    await expect.poll(() => seen).toEqual([first.id, second.id, first.id]);
    end('done');
    await queue.close();
  });
});
