import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildCommit, resolveCommit } from '../../bench/beside/commit-build.js';
import { measureBeside } from '../../bench/beside/measure-beside.js';
import { pairFigures, pairFindings, pairTable, worstRatio } from '../../bench/beside/pair.js';
import { runBeside } from '../../bench/beside/run-beside.js';
import { randomModel } from '../../bench/inputs/random-model.js';
import { readOptions } from '../../bench/options.js';
import { type Build, thisBuild } from '../../bench/process/build.js';
import type { BenchContext, Figure, Finding, Probe, Suite } from '../../bench/suite.js';
import { interference } from '../../bench/suites/server/interference.js';
import { packageRoot } from '../../src/config/paths.js';

/** Milliseconds: the build alone takes a quarter of a minute on two free cores. */
const TIMEOUT = 5 * 60_000;

const rate = (value: number): Figure => ({ what: 'speed', at: { rows: 8 }, unit: 'tok/s', value });
const wait = (value: number): Figure => ({ what: 'wait', unit: 'ms', value });
const other: Build = { name: 'abc1234', directory: '/nowhere' };
const contextOf = (build: Build, options = readOptions(['--repeats', '2'], [])): BenchContext => ({
  options,
  build,
  checkpoint: '/nowhere',
  prefixColumns: 0,
  cache: '/nowhere',
  log: () => undefined,
  keep: () => Promise.resolve(),
});

describe('pairs', () => {
  const rounds = [
    { ours: [rate(90), wait(10)], others: [rate(100), wait(10)] },
    { ours: [rate(60), wait(0)], others: [rate(50), wait(0)] },
    { ours: [rate(48), wait(21)], others: [rate(50), wait(20)] },
  ];
  const pairs = pairFigures(rounds);

  it('have both sides and the ratio of each round', () => {
    expect(pairFindings(pairs, 'abc1234')).toEqual([
      { what: 'speed', at: { rows: 8, build: 'this' }, unit: 'tok/s', values: [90, 60, 48] },
      { what: 'speed', at: { rows: 8, build: 'abc1234' }, unit: 'tok/s', values: [100, 50, 50] },
      { what: 'speed, this over abc1234', at: { rows: 8 }, unit: 'x', values: [0.9, 1.2, 0.96] },
      { what: 'wait', at: { build: 'this' }, unit: 'ms', values: [10, 0, 21] },
      { what: 'wait', at: { build: 'abc1234' }, unit: 'ms', values: [10, 0, 20] },
      { what: 'wait, this over abc1234', at: {}, unit: 'x', values: [1, 1, 1.05] },
    ]);
  });

  it('are printed side by side', () => {
    expect(pairTable(pairs, 'abc1234').split('\n')).toEqual([
      '                           this          abc1234           this over abc1234',
      'speed  rows 8  60.0 [48.0-90.0]  50.0 [50.0-100]  tok/s  0.960 [0.900-1.200]',
      'wait              10.0 [0-21.0]    10.0 [0-20.0]  ms     1.000 [1.000-1.050]',
    ]);
  });

  it('are judged by the median ratio, in the direction of their unit', () => {
    const verdict = 'Worst of 2: speed, rows 8; this over abc1234 0.960 [0.900-1.200], 4.2% worse';
    expect(worstRatio(pairs, 'abc1234')).toBe(verdict);
    expect(worstRatio(pairFigures([{ ours: [wait(9)], others: [wait(10)] }]), 'x')).toMatch(
      '0.900 [0.900-0.900], 10.0% better',
    );
    expect(worstRatio([], 'x')).toBe('Nothing was measured');
  });

  it('are of the same quantities', () => {
    const different = (ours: Figure[], others: Figure[]) => () => pairFigures([{ ours, others }]);
    expect(different([rate(1)], [wait(1)])).toThrow('the builds measured different quantities');
    expect(different([rate(1)], [])).toThrow('the builds measured different quantities');
    expect(different([rate(1)], [{ ...rate(1), at: { rows: 1 } }])).toThrow('the builds measured different quantities');
  });
});

describe('two builds', () => {
  const visits: string[] = [];
  const suite = (fail: string): Suite => ({
    name: 'letters',
    question: '?',
    run: () => Promise.resolve([]),
    open: ({ build }) => {
      visits.push(`${build.name[0]} opened`);
      const step =
        (name: string) =>
        (round: number): Promise<Figure[]> => {
          visits.push(`${build.name[0]}${name}${round}`);
          if (build.name === fail) throw new Error('it broke');
          return Promise.resolve([{ ...rate(round), at: { step: name } }]);
        };
      const close = (): Promise<void> => Promise.resolve(void visits.push(`${build.name[0]} closed`));
      return Promise.resolve({ steps: [step('x'), step('y')], close } satisfies Probe);
    },
  });

  it('take turns, step by step, are opened in both orders, and warm up first', async () => {
    visits.length = 0;
    const kept: number[] = [];
    const pairs = await measureBeside(suite(''), contextOf(thisBuild), contextOf(other), (sofar) => {
      kept.push(sofar[0]?.ours.length ?? 0);
      return Promise.resolve();
    });
    const even = (round: number): string[] => [`tx${round}`, `ax${round}`, `ay${round}`, `ty${round}`];
    const odd = ['ax1', 'tx1', 'ty1', 'ay1'];
    const [ours, others] = [
      ['t opened', 'a opened', ...even(0), ...odd, 't closed', 'a closed'],
      ['a opened', 't opened', ...even(0), ...even(2), 'a closed', 't closed'],
    ];
    expect(visits).toEqual([...ours, ...others]);
    expect(pairs.map(({ at, ours, others }) => [at, ours, others])).toEqual([
      [{ step: 'x' }, [1, 2], [1, 2]],
      [{ step: 'y' }, [1, 2], [1, 2]],
    ]);
    expect(kept).toEqual([1, 2]);
  });

  it('are both closed when one fails', async () => {
    visits.length = 0;
    const run = measureBeside(suite('abc1234'), contextOf(thisBuild), contextOf(other), () => Promise.resolve());
    await expect(run).rejects.toThrow('it broke');
    expect(visits).toEqual(['t opened', 'a opened', 'tx0', 'ax0', 't closed', 'a closed']);
  });
});

it('refuses what is no commit', () => {
  expect(() => resolveCommit('no-such-branch')).toThrow("--beside: 'no-such-branch' is no commit of this repository");
  expect(() => resolveCommit('--help')).toThrow("--beside: '--help' is no commit");
});

describe.skipIf(!hasCommit())('this build beside HEAD', () => {
  let directory = '';
  beforeAll(async () => void (directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-beside-'))));
  afterAll(() => fs.rm(directory, { recursive: true, force: true }));

  it(
    'is measured through real servers',
    async () => {
      const commit = resolveCommit('HEAD');
      await fs.mkdir(path.join(directory, 'an older commit'));
      const build = await buildCommit(commit, directory);
      expect(await fs.readdir(directory)).toEqual([commit]);
      expect(commit).toMatch(new RegExp(`^${build.name}`));
      const shape = { layers: 1, width: 64, heads: 2, contextLength: 1024 };
      const checkpoint = await randomModel(path.join(directory, commit), shape);
      let kept: readonly Finding[] = [];
      const context = contextOf(
        thisBuild,
        readOptions(['interference', '--beside', commit, '--repeats', '1', '--threads', '1'], [interference]),
      );
      const { findings, text } = await runBeside(
        interference,
        {
          ...context,
          checkpoint,
          cache: path.join(directory, commit, 'compiled'),
          keep: (sofar) => Promise.resolve(void (kept = sofar)),
        },
        build,
      );
      expect(findings).toHaveLength(12);
      expect(kept).toEqual(findings);
      for (const { values } of findings) {
        expect(values).toHaveLength(2);
        expect(Math.min(...values)).toBeGreaterThan(0);
      }
      for (const part of ['this', build.name, `this over ${build.name}`, 'Worst of 4: ']) expect(text).toContain(part);
    },
    TIMEOUT,
  );
});

function hasCommit(): boolean {
  try {
    execFileSync('git', ['rev-parse', '--verify', 'HEAD'], { cwd: packageRoot, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
