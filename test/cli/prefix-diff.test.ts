import path from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { temporaryDirectory } from '../server/prefix-library.js';
import { golden } from '../support/goldens.js';
import { modelCache } from '../support/models.js';
import { realServer } from '../support/real-server.js';
import { preamble } from './preamble.js';
import { writeFile } from 'node:fs/promises';

const { directory: model } = golden('tiny-a');
const adapter = (name: string): string => path.join('test/goldens/adapters/tiny-a', name);

beforeEach(() => vi.stubEnv('PREAMBLE_CACHE', modelCache));
afterEach(() => vi.unstubAllEnvs());

it('compares a directory with a version of a server as evaluate measures them', async () => {
  const data = path.join(await temporaryDirectory(), 'data.txt');
  await writeFile(data, 'name : A||A is a pub . \nname : B||B is a bar . \n');
  const { url } = await realServer({ model });
  const client = ['--url', url, '--key', 'none'];
  const pushed = await preamble('prefix', 'push', adapter('prefix-5'), '--name', 'b', '--json', ...client);
  const { version } = JSON.parse(pushed.out) as { version: string };
  const common = ['--model', model, '--data', data, '--max-tokens', '4'];
  const evaluated = await preamble(
    'evaluate',
    ...common,
    '--json',
    '--prefix',
    adapter('prefix-1'),
    adapter('prefix-5'),
  );
  const [first, second] = JSON.parse(evaluated.out) as [Record<string, number>, Record<string, number>];

  const args = ['prefix', 'diff', adapter('prefix-1'), `b@${version.slice(0, 12)}`, ...common, ...client];
  const { status, out, err } = await preamble(...args, '--json');
  expect(status, err).toBe(0);
  const { a, b, difference } = JSON.parse(out) as Record<'a' | 'b' | 'difference', Record<string, number>>;
  expect(a).toEqual(first);
  expect(b).toEqual({ ...second, prefix: `b@${version.slice(0, 12)}` });
  expect(difference['loss']).toBeCloseTo(second['loss']! - first['loss']!, 12);
  expect(Object.keys(difference)).toEqual(expect.arrayContaining(['loss', 'bleu', 'rouge_l']));
  expect(difference['loss']).not.toBe(0);

  const people = await preamble(...args, '--loss-only');
  expect(people.out).toMatch(
    /^A: .*prefix-1\nB: b@\w{12}\nMEASURE +A +B +B - A\nLoss +\d+\.\d{4} +\d+\.\d{4} +[+-]\d+\.\d{4}\n$/,
  );
  expect(await preamble('prefix', 'diff', adapter('prefix-1'), 'missing', ...common, ...client)).toMatchObject({
    status: 1,
    err: expect.stringContaining('there is no prefix'),
  });
});
