import fs from 'node:fs/promises';
import path from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import type { JobRef } from '../../src/jobs/job.js';
import { JobRecovery } from '../../src/jobs/recovery.js';
import { FINGERPRINT } from '../fine-tuning/fixtures.js';
import { temporaryDirectory } from '../server/prefix-library.js';

/** A recovery over a list of unfinished jobs, and the ids that it queues. */
async function recovery() {
  const directory = path.join(await temporaryDirectory(), 'running');
  const unfinished: JobRef[] = [
    { tenant: 't', id: 'a' },
    { tenant: 'u', id: 'b' },
  ];
  const queued: string[] = [];
  let isAway = false;
  const jobs = {
    unfinished: async (fingerprint: string) => {
      if (isAway || fingerprint !== FINGERPRINT) throw new Error('away');
      return unfinished;
    },
  };
  const queue = { add: async ({ tenant, id }: JobRef) => void queued.push(`${tenant} ${id}`) };
  const recovering = new JobRecovery({ jobs, queue, fingerprint: FINGERPRINT, directory, compareEveryMs: 5 });
  onTestFinished(() => recovering.stop());
  return { recovering, directory, unfinished, queued, setAway: (away: boolean) => void (isAway = away) };
}

it('queues unfinished jobs at the start and again and again, also when the store was away', async () => {
  const { recovering, unfinished, queued, setAway } = await recovery();
  await recovering.start();
  expect(queued.slice(0, 2)).toEqual(['t a', 'u b']);
  setAway(true);
  unfinished.splice(0, 2, { tenant: 't', id: 'c' });
  const before = queued.length;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(queued.length).toBe(before);
  setAway(false);
  await expect.poll(() => queued).toContain('t c');
  await recovering.stop();
  const after = queued.length;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(queued.length).toBe(after);
});

it('does not start while the store is away', async () => {
  const { recovering, setAway } = await recovery();
  setAway(true);
  await expect(recovering.start()).rejects.toThrow('away');
});

it('removes what jobs that have ended left, and nothing of others', async () => {
  const { recovering, directory } = await recovery();
  for (const id of ['a', 'ended']) await fs.mkdir(path.join(directory, id, 'out'), { recursive: true });
  await recovering.start();
  expect(await fs.readdir(directory)).toEqual(['a']);
});
