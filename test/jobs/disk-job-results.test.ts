import fs from 'node:fs/promises';
import path from 'node:path';

import { expect, it } from 'vitest';

import { DiskJobResults } from '../../src/jobs/disk-job-results.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { describeJobResults, linesOf, result } from './job-results-contract.js';

const job = { tenant: 't', id: 'batch_1' };

describeJobResults('the directory', async () => ({ store: new DiskJobResults(await temporaryDirectory()), job }));

it.each([
  ['half a line', (text: string) => `${text}7\toutput\t{"done":1}\t{"half`],
  ['a line without its break', (text: string) => `${text}7\toutput\t{"done":1}\t{}`],
  ['what a power failure left', (text: string) => `${text}\0\0\0\0\n8\toutput\t{"done":1}\t{}\n`],
  ['half a number', (text: string) => text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1) + '2'],
])('goes on behind %s', async (_, damage) => {
  const directory = await temporaryDirectory();
  const store = new DiskJobResults(directory);
  const first = await store.open(job);
  for (const number of [1, 2]) await first.add([result(number)]);
  await first.close();
  const file = path.join(directory, job.id, 'results');
  const damaged = damage(await fs.readFile(file, 'utf8'));
  await fs.writeFile(file, damaged);

  const next = await store.open(job);
  const left = [1, 2, 7, 8].filter((number) => next.has(number));
  expect(left).toEqual(damaged.endsWith('2') ? [1] : [1, 2]);
  await next.add([3, 7].map((number) => result(number)));
  await next.close();
  const last = await store.open(job);
  const expected = [...left, 3, 7];
  expect(await linesOf(last, 'output')).toEqual(expected.map((number) => result(number).text).sort());
  expect(await last.counts()).toEqual({ done: expected.length });
  await last.close();
});
