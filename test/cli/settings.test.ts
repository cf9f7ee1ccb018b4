import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { SettingGroup } from '../../src/config/variables.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { type Outcome, preamble } from './preamble.js';

/** A bad value of each group. */
const BAD = {
  http: ['PORT', '65536'],
  model: ['PREAMBLE_SLOTS', '0'],
  engine: ['PREAMBLE_MAX_CHUNK_TOKENS', 'many'],
  store: ['PREAMBLE_STORE', 'elsewhere'],
  storeTls: ['PREAMBLE_STORE_CA', 'ca.pem'], // of a store that is no rediss://
  tenants: ['PREAMBLE_QUEUE_SHARE', '7'],
  tuning: ['PREAMBLE_TUNING_NICE', '20'],
  batches: ['PREAMBLE_BATCH_WORKERS', 'many'],
  traces: ['OTEL_SDK_DISABLED', 'maybe'],
  log: ['PREAMBLE_LOG_LEVEL', 'loud'],
} as const satisfies Record<SettingGroup, readonly [variable: string, value: string]>;
const GROUPS = Object.keys(BAD) as SettingGroup[];

/** Where no server answers. */
const NOBODY = ['--url', 'http://127.0.0.1:9'];
const ADMIN = [...NOBODY, '--admin-key', 'open-sesame-please'];
const TUNE = ['tune', '--train', 'data.jsonl', '--out', 'out'];

/** Command lines that fail right after their settings are read, and the groups that those need. */
const COMMANDS: readonly (readonly [args: readonly string[], needed: readonly SettingGroup[]])[] = [
  [['serve'], GROUPS],
  [['worker'], ['model', 'store', 'storeTls', 'tenants', 'tuning', 'log']],
  [TUNE, ['model']],
  [['evaluate', '--data', 'data.jsonl'], ['model']],
  [['study', 'SPEC', '--out', 'out'], ['model']],
  [['import-model', '/nowhere'], ['model']],
  [['store', 'list', 'file:/nowhere'], []],
  [['store', 'copy', 'file:/nowhere', 'nothing'], []],
  [['prefix', 'ls', ...NOBODY], []],
  [['bench', ...NOBODY], []],
  [['key', 'ls', ...ADMIN], []],
  [['tenant', 'ls', ...ADMIN], []],
];
const named = COMMANDS.map(([args, needed]) => ({ name: args.slice(0, 2).join(' '), args, needed }));

async function run(args: readonly string[]): Promise<Outcome> {
  const spec = join(await temporaryDirectory(), 'spec.json');
  if (args.includes('SPEC')) {
    const data = { train: 'train.jsonl', valid: 0.2, test: 'test.jsonl' };
    await writeFile(spec, JSON.stringify({ data, parts: [{ title: 'One', axes: { lr: [0.1] } }] }));
  }
  return preamble(...args.map((arg) => (arg === 'SPEC' ? spec : arg)));
}

beforeEach(async () => {
  vi.stubEnv('PREAMBLE_MODEL', '/nowhere');
  vi.stubEnv('PREAMBLE_CACHE', await temporaryDirectory());
});
afterEach(() => vi.unstubAllEnvs());

describe.each(named)('preamble $name', ({ args, needed }) => {
  it.each(GROUPS.filter((group) => needed.includes(group)))(
    'stops at a bad value of %s, and names it',
    async (group) => {
      const [variable, value] = BAD[group];
      vi.stubEnv(variable, value);
      const { status, err } = await run(args);
      expect(err).toMatch(new RegExp(`^preamble: ${variable}: `));
      expect(status).toBe(2);
    },
  );

  it('does not look at the other groups', async () => {
    const without = await run(args);
    for (const group of GROUPS.filter((each) => !needed.includes(each))) vi.stubEnv(BAD[group][0], BAD[group][1]);
    expect(await run(args)).toEqual(without);
  });

  it('stops at a name that no setting has', async () => {
    vi.stubEnv('PREAMBLE_SLOT', '1');
    expect(await run(args)).toMatchObject({ status: 2, err: 'preamble: PREAMBLE_SLOT: no such setting\n' });
  });
});

it('a listener that anybody reaches without a key stops only who listens', async () => {
  const withoutHost = await run(TUNE);
  vi.stubEnv('HOST', '0.0.0.0');
  expect(await run(['serve'])).toMatchObject({
    status: 2,
    err: expect.stringMatching(/^preamble: HOST: '0.0.0.0' is/),
  });
  expect(await run(TUNE)).toEqual(withoutHost);
});

it.each([
  ['prefix', 'PREAMBLE_API_KEYS', 'no-pair'],
  ['key', 'PREAMBLE_ADMIN_KEY', 'short'],
])('preamble %s ls stops at a bad key of its own', async (command, variable, value) => {
  vi.stubEnv(variable, value);
  const { status, err } = await run([command, 'ls', ...NOBODY]);
  expect([status, err]).toEqual([2, expect.stringMatching(new RegExp(`^preamble: ${variable}: (?!.*${value})`))]);
});
