import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';

import { DOMParser } from '@xmldom/xmldom';
import { describe, expect, it, vi } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { golden } from '../support/goldens.js';
import { modelCache } from '../support/models.js';
import { preamble } from './preamble.js';

const lines = (from: number, count: number, categories = 'abc') =>
  Array.from({ length: count }, (_, i) =>
    JSON.stringify({ prompt: [from + i, 7], completion: [20 + i, 21], category: categories[i % categories.length] }),
  ).join('\n');

const SPEC = {
  data: { train: 'train.jsonl', valid: 0.2, test: 'test.jsonl', unseen: ['c'] },
  parts: [
    { title: 'Methods', axes: { method: ['none', 'prefix'], lr: [0.001, 0.02], mlp: [8] } },
    { title: 'Low data', axes: { examples: [4, 8], lr: [0.02], mlp: [8] } },
  ],
  training: { epochs: 1, max_steps: 20, checkpoint_every: 5 },
  generation: { beams: 2, max_tokens: 4 },
};

async function study(spec: object = SPEC): Promise<{ file: string; out: (name: string) => string }> {
  const directory = await temporaryDirectory();
  await fs.writeFile(path.join(directory, 'train.jsonl'), lines(10, 24));
  await fs.writeFile(path.join(directory, 'test.jsonl'), lines(60, 9));
  const file = path.join(directory, 'spec.json');
  await fs.writeFile(file, JSON.stringify(spec));
  return { file, out: (name) => path.join(directory, name) };
}

/** The program in a process of its own. */
function start(...args: string[]) {
  const env = { PATH: process.env['PATH'], PREAMBLE_CACHE: modelCache, PREAMBLE_MODEL: golden('tiny-a').directory };
  const child = spawn(process.execPath, [path.join(packageRoot, 'dist/cli/main.js'), 'study', ...args], { env });
  const output = { err: '' };
  child.stderr.on('data', (data: Buffer) => (output.err += data.toString()));
  return { child, output, ended: once(child, 'exit') as Promise<[number | null, string | null]> };
}

/** Every file of a report. */
async function report(out: string): Promise<Map<string, string>> {
  const plots = (await fs.readdir(path.join(out, 'plots'))).map((name) => path.join('plots', name));
  const files = ['results.jsonl', 'report.md', ...plots];
  return new Map(
    await Promise.all(files.map(async (name) => [name, await fs.readFile(path.join(out, name), 'utf8')] as const)),
  );
}

/** What is looked at of a line of results.jsonl. */
interface Line {
  readonly method: string;
  readonly chosen: boolean;
  readonly steps: number;
  readonly test: Record<'all' | 'seen' | 'unseen', { loss: number; learned_tokens: number; scores: object }> | null;
}

/** What programs and people read. */
function expectReport(files: ReadonlyMap<string, string>): void {
  const results = files
    .get('results.jsonl')!
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  expect(results).toHaveLength(5);
  for (const { method, steps } of results) expect(steps).toBe(method === 'none' ? 0 : SPEC.training.max_steps);
  const bare = results.find(({ method }) => method === 'none');
  const best = results.find(({ method, chosen }) => method === 'prefix' && chosen);
  const { seen, unseen, all } = best!.test!;
  expect(all.loss).toBeLessThan(bare!.test!.all.loss);
  expect(all.learned_tokens).toBe(seen.learned_tokens + unseen.learned_tokens);
  expect(all.scores).toHaveProperty('bleu');
  expect(results.find(({ chosen }) => !chosen)!.test).toBeNull();
  const text = files.get('report.md')!;
  expect(text).toContain('Categories that were not trained on: c');
  expect(text).toMatch(/\| no tuning \| 0 \| 0 \|/);
  const images = [...text.matchAll(/!\[.*\]\((.*)\)/g)].map((match) => match[1]!);
  expect(images).toEqual(['plots/2-examples-test-loss-all.svg', 'plots/2-examples-bleu-all.svg']);
  for (const image of images) {
    const svg = new DOMParser().parseFromString(files.get(image)!, 'image/svg+xml');
    expect(svg.getElementsByTagName('circle')).toHaveLength(2);
  }
}

describe('preamble study', () => {
  it('ends with the same report after kill -9 and Ctrl-C, with nothing done twice', async () => {
    const { file, out } = await study();
    const whole = start(file, '--out', out('whole'));
    expect(await whole.ended, whole.output.err).toEqual([0, null]);
    expectReport(await report(out('whole')));

    const reaches = (mark: string) =>
      vi.waitFor(() => expect(existsSync(mark)).toBe(true), { timeout: 60_000, interval: 1 });
    const second = path.join(out('cut'), 'runs/prefix-10-mlp-8-random-lr-0.02-all-seed-101');
    const killed = start(file, '--out', out('cut'));
    await reaches(path.join(second, 'checkpoint-5'));
    killed.child.kill('SIGKILL');
    expect((await killed.ended)[1]).toBe('SIGKILL');

    const interrupted = start(file, '--out', out('cut'));
    await reaches(path.join(second, 'trained.json'));
    interrupted.child.kill('SIGINT');
    expect((await interrupted.ended)[0]).toBe(1);
    expect(interrupted.output.err).toMatch(/interrupted after \d runs; the same command goes on/);
    expect(interrupted.output.err).not.toContain('lr-0.001-all-seed-101: step');

    const last = start(file, '--out', out('cut'));
    expect(await last.ended, last.output.err).toEqual([0, null]);
    expect(await report(out('cut'))).toEqual(await report(out('whole')));
    expect((await fs.readdir(second)).filter((name) => name.includes('checkpoint'))).toEqual([]);
  });

  it('tests on unseen categories alone', async () => {
    const axes = { method: ['none', 'prefix'], mlp: [8] };
    const { file, out } = await study({
      ...SPEC,
      data: { train: 'train.jsonl', test: 'test.jsonl', unseen: ['c'] },
      parts: [{ title: 'x', axes }],
    });
    await fs.writeFile(path.join(path.dirname(file), 'test.jsonl'), lines(62, 1, 'c'));
    const run = start(file, '--out', out('out'));
    expect(await run.ended, run.output.err).toEqual([0, null]);
    const [first] = (await fs.readFile(path.join(out('out'), 'results.jsonl'), 'utf8')).split('\n');
    const { test } = JSON.parse(first!) as Line;
    expect(Object.keys(test!)).toEqual(['all', 'unseen']);
    expect(test!.unseen).toEqual(test!.all);
    const text = await fs.readFile(path.join(out('out'), 'report.md'), 'utf8');
    expect(text).toContain('| test loss, unseen | test loss, all |');
    expect(text).not.toContain('test loss, seen');
  });

  it('refuses a directory of another study', async () => {
    const { file, out } = await study({ ...SPEC, parts: [{ title: 'x', axes: { mlp: [8] } }] });
    expect((await start(file, '--out', out('out')).ended)[0]).toBe(0);
    await fs.appendFile(path.join(path.dirname(file), 'train.jsonl'), `\n${lines(40, 1)}`);
    const other = start(file, '--out', out('out'));
    expect((await other.ended)[0]).toBe(1);
    expect(other.output.err).toContain('is of a study with other data, training or model');
  });

  it('lists the runs', async () => {
    const { file } = await study();
    const { status, out } = await preamble('study', file, '--dry-run');
    expect(status).toBe(0);
    expect(out.trimEnd().split('\n')).toHaveLength(5);
    expect(out).toContain('prefix-10-mlp-8-random-lr-0.02-4-examples-seed-101\n');
  });

  it('names the spec, the field and the limit', async () => {
    const bad = await study({ ...SPEC, data: { ...SPEC.data, valid: 7 } });
    expect((await preamble('study', bad.file, '--dry-run')).err).toContain('spec.json: data.valid: must be a file');
    const adapter = await study({ ...SPEC, parts: [{ title: 'x', axes: { init: ['random', 'a word', 'adapter'] } }] });
    for (const name of ['random', 'adapter']) await fs.mkdir(adapter.out(name));
    const dry = await preamble('study', adapter.file, '--dry-run');
    expect(dry.status).toBe(1);
    expect(dry.err).toContain('spec.json: parts[0].axes.init[2]: adapter is a directory; a study starts from words');
    const axes = { examples: [500] };
    const many = await study({ ...SPEC, parts: [{ title: 'x', axes }] });
    const run = start(many.file, '--out', many.out('out'));
    expect((await run.ended)[0]).toBe(1);
    expect(run.output.err).toContain('parts[0].axes.examples: 500, but there are 13 to train on');
    const long = await study({ ...SPEC, parts: [{ title: 'x', axes: { length: [5, 81] } }] });
    const longer = start(long.file, '--out', long.out('out'));
    expect((await longer.ended)[0]).toBe(1);
    expect(longer.output.err).toContain('parts[0].axes.length: 81 virtual tokens; at most 80 are accepted');
    const narrow = await study({ ...SPEC, parts: [{ title: 'x', axes: { init: ['some words'], mlp: [1] } }] });
    const narrower = start(narrow.file, '--out', narrow.out('out'));
    expect((await narrower.ended)[0]).toBe(1);
    expect(narrower.output.err).toContain('preamble: axes.mlp: 1 is less than the 10 virtual tokens');
    const { status, err } = await preamble('study', bad.file.replace('spec', 'none'), '--dry-run');
    expect([status, err]).toEqual([1, expect.stringContaining('none.json')]);
  });
});
