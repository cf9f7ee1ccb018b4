import fs from 'node:fs/promises';
import path from 'node:path';

import { expect, it } from 'vitest';

import { DiskJobStore } from '../../src/jobs/disk-job-store.js';
import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { newEvent } from '../../src/jobs/job.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { job } from '../fine-tuning/fixtures.js';
import { describeJobStore } from './job-store-contract.js';

describeJobStore('the store on disk', async () => {
  const directory = await temporaryDirectory();
  return (maxFinished) => DiskJobStore.open<FineTuningJob>(directory, FINE_TUNING, maxFinished);
});

it('reads the events of a process that was killed while it wrote one', async () => {
  const directory = await temporaryDirectory();
  const store = await DiskJobStore.open<FineTuningJob>(directory, FINE_TUNING);
  const { id } = job();
  await store.add('t', job({ id }));
  await store.addEvent('t', id, newEvent(FINE_TUNING, 1, { message: 'first' }));
  await fs.appendFile(path.join(directory, '.fine-tuning/t/jobs', id, 'events.jsonl'), '\n{"id":"ftev');
  await store.addEvent('t', id, newEvent(FINE_TUNING, 2, { message: 'second' }));
  expect((await store.events('t', id, { limit: 9 })).data.map(({ message }) => message)).toEqual(['second', 'first']);
});

it('starts with a damaged job, which hides no others and can be deleted', async () => {
  const directory = await temporaryDirectory();
  const earlier = await DiskJobStore.open<FineTuningJob>(directory, FINE_TUNING);
  const [whole, broken] = [job(), job()];
  for (const each of [whole, broken]) await earlier.add('t', each);
  await fs.truncate(path.join(directory, '.fine-tuning/t/jobs', broken.id, 'record.json'), 9);
  const store = await DiskJobStore.open<FineTuningJob>(directory, FINE_TUNING);
  expect(await store.unfinished(whole.fingerprint)).toEqual([{ tenant: 't', id: whole.id }]);
  expect((await store.list('t', { limit: 9 })).data).toEqual([whole]);
  await expect(store.get('t', broken.id)).rejects.toMatchObject({ code: 'job_damaged' });
  expect(await store.delete('t', broken.id)).toBe(true);
  expect(await store.get('t', broken.id)).toBeUndefined();
});
