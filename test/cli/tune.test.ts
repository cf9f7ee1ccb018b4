import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { golden } from '../support/goldens.js';
import { modelCache } from '../support/models.js';
import { writeTinyBart } from '../support/tiny-bart.js';
import { preamble } from './preamble.js';

const ADAPTER = 'adapter_model.safetensors';
const line = (i: number) => JSON.stringify({ prompt: [10 + i, 7], completion: [20 + i, 21] });
const DATA = Array.from({ length: 10 }, (_, i) => line(i)).join('\n');

interface Files {
  readonly directory: string;
  readonly data: string;
  readonly out: string;
}

async function files(content = DATA): Promise<Files> {
  const directory = await temporaryDirectory();
  const data = path.join(directory, 'data.jsonl');
  await fs.writeFile(data, content);
  return { directory, data, out: path.join(directory, 'out') };
}

/** The program in a process of its own. */
function start(directory: string, ...args: string[]) {
  const program = [path.join(packageRoot, 'dist/cli/main.js'), 'tune', '--model', golden('tiny-a').directory];
  const env = { PATH: process.env['PATH'], PREAMBLE_CACHE: path.join(directory, 'cache') };
  const child = spawn(process.execPath, [...program, ...args], { env });
  const output = { out: '' };
  child.stdout.on('data', (data: Buffer) => (output.out += data.toString()));
  return { child, output, ended: once(child, 'exit') as Promise<[number | null, string | null]> };
}

describe('preamble tune', () => {
  beforeEach(() => vi.stubEnv('PREAMBLE_CACHE', modelCache));
  afterEach(() => vi.unstubAllEnvs());

  it('goes on after kill -9 to the result of a run that was not cut off', async () => {
    const { directory, data, out } = await files();
    const settings = ['--train', data, '--epochs', '100', '--checkpoint-every', '7', '--mlp', '16', '--json'];
    const whole = start(directory, ...settings, '--out', `${out}-whole`);
    expect((await whole.ended)[0]).toBe(0);
    const killed = start(directory, ...settings, '--out', out);
    await vi.waitFor(() => expect(existsSync(path.join(out, 'checkpoint-7'))).toBe(true), {
      timeout: 60_000,
      interval: 1,
    });
    killed.child.kill('SIGKILL');
    expect((await killed.ended)[1]).toBe('SIGKILL');
    expect(existsSync(path.join(out, ADAPTER))).toBe(false);
    const resumed = start(directory, ...settings, '--out', out);
    expect((await resumed.ended)[0]).toBe(0);
    const result = JSON.parse(resumed.output.out) as { steps: number; resumed_from: number };
    expect(result.steps).toBe(200);
    expect(result.resumed_from).toBeGreaterThanOrEqual(7);
    expect(await fs.readFile(path.join(out, ADAPTER))).toEqual(await fs.readFile(path.join(`${out}-whole`, ADAPTER)));
  });

  it('ends cleanly on Ctrl-C with what it has', async () => {
    const { directory, data, out } = await files();
    const run = start(directory, '--train', data, '--out', out, '--epochs', '100000', '--json');
    await vi.waitFor(() => expect(existsSync(path.join(out, 'curve.jsonl'))).toBe(true), { timeout: 60_000 });
    run.child.kill('SIGINT');
    expect((await run.ended)[0]).toBe(0);
    expect(JSON.parse(run.output.out)).toMatchObject({ stop: 'interrupted' });
    expect(existsSync(path.join(out, ADAPTER))).toBe(true);
  });

  it('trains the sites of an encoder-decoder that it is told, and refuses by option what it cannot', async () => {
    const { directory, data, out } = await files();
    const model = path.join(directory, 'bart');
    await writeTinyBart(model);
    await fs.rm(path.join(model, 'tokenizer.json')); // the data has ids
    const args = ['--model', model, '--train', data, '--out', out, '--mlp', '0', '--max-steps', '2', '--json'];
    const trained = await preamble(
      'tune',
      ...args,
      '--length',
      '3',
      '--sites',
      'cross,encoder',
      '--loss-mean',
      'tokens',
    );
    expect(trained.err).toContain('step 2/2');
    expect(JSON.parse(trained.out)).toMatchObject({ steps: 2, sites: { encoder: 3, cross: 3 } });
    const infix = await preamble('tune', ...args, '--method', 'infix');
    expect(infix).toMatchObject({ status: 1 });
    expect(infix.err).toContain('--method: the model is an encoder-decoder, which takes prefix only, not infix');
    expect((await preamble('tune', ...args, '--sites', 'self')).err).toContain(
      '--sites: "self" is no site of the model',
    );
  });

  it('ends a line of JSON for programs, progress for people', async () => {
    const { data, out } = await files();
    const args = ['--model', golden('tiny-a').directory, '--train', data, '--valid', data, '--out', out, '--json'];
    const { status, out: printed, err } = await preamble('tune', ...args, '--max-steps', '3', '--init', 'a word');
    expect(status).toBe(0);
    const result = JSON.parse(printed) as Record<string, number>;
    expect(result).toMatchObject({ stop: 'finished', steps: 3, method: 'prefix' });
    expect(result['valid_loss']).toBeGreaterThan(0);
    expect(result['tokens_per_second']).toBeGreaterThan(0);
    expect(err).toMatch(/step 3\/3: validation loss \d+\.\d{4}, \d+ tokens\/s, 0 s left/);
    expect(await fs.readFile(path.join(out, 'curve.svg'), 'utf8')).toMatch(/^<svg .*<polyline/s);
  });

  it('takes --max-steps for the number of steps where the epochs have fewer', async () => {
    const { data, out } = await files([0, 1, 2].map(line).join('\n')); // one batch
    const args = ['--model', golden('tiny-a').directory, '--train', data, '--out', out, '--mlp', '0', '--json'];
    const { out: printed, err } = await preamble('tune', ...args, '--max-steps', '20');
    expect(JSON.parse(printed)).toMatchObject({ stop: 'finished', steps: 20 });
    expect(err).toContain('step 20/20: ');
  });

  it.each([
    [['--early-stopping'], '--early-stopping needs --valid'],
    [['--patience', '2'], '--patience needs --early-stopping'],
    [['--method', 'suffix'], 'Allowed choices are prefix, embedding, infix'],
    [['--too-long', 'drop'], 'Allowed choices are fail, skip, cut'],
    [['--length', '0'], 'not a whole number from 1'],
    [['--lr', '-1'], 'not a positive number'],
  ])('is used wrongly with %s', async (args, message) => {
    const { status, err } = await preamble('tune', '--train', 'data.jsonl', '--out', 'out', ...args);
    expect(status).toBe(2);
    expect(err).toContain(message);
  });

  it('goes on without examples that do not fit, or with shorter ones, and counts them', async () => {
    const long = JSON.stringify({ prompt: Array(200).fill(7), completion: [20] });
    const { data, out } = await files(`${DATA}\n${long}\n`);
    const args = ['--model', golden('tiny-a').directory, '--train', data, '--valid', data, '--out', out, '--json'];
    const tune = (...more: string[]) => preamble('tune', ...args, '--mlp', '0', '--max-steps', '1', ...more);
    const refused = await tune();
    expect(refused.status).toBe(1);
    expect(refused.err).toContain(
      'preamble: data.jsonl line 11: 211 tokens with the 10 virtual ones; the context has 160; 1 of 11 examples is too long; ' +
        '--too-long may be skip, which leaves such examples out, or cut, which shortens their sources\n',
    );
    for (const [tooLong, what, counts] of [
      ['skip', '1 left out', { skipped: 1, cut: 0 }],
      ['cut', '1 with the source cut', { skipped: 0, cut: 1 }],
    ] as const) {
      const { out: printed, err } = await tune('--too-long', tooLong);
      expect(err).toContain(`--train: 1 of 11 examples is too long: ${what}\n--valid: 1 of 11 examples is too long`);
      expect(JSON.parse(printed)).toMatchObject({ steps: 1, too_long: { train: counts, valid: counts } });
    }
  });

  it('refuses a prefix that the server would refuse', async () => {
    const { data, out } = await files();
    const args = ['--model', golden('tiny-a').directory, '--train', data, '--out', out, '--max-steps', '0'];
    const { status, err } = await preamble('tune', ...args, '--length', '81');
    expect([status, err]).toEqual([
      1,
      expect.stringContaining('preamble: --length: 81 virtual tokens; at most 80 are accepted'),
    ]);
    vi.stubEnv('PREAMBLE_MAX_VIRTUAL_TOKENS', '81');
    expect((await preamble('tune', ...args, '--length', '81')).status).toBe(0);
  });

  it('names the option that is at fault', async () => {
    const { directory, data, out } = await files();
    const empty = path.join(directory, 'empty.jsonl');
    await fs.writeFile(empty, '');
    const args = ['--model', golden('tiny-a').directory, '--out', out, '--max-steps', '1'];
    for (const [more, message] of [
      [['--train', empty], '--train: no examples'],
      [['--train', data, '--valid', empty], '--valid: no examples'],
      [['--train', data, '--init', 'words', '--mlp', '1'], /^preamble: --mlp: 1 is less than the \d+ virtual tokens/],
      [
        ['--train', data, '--mlp', '0', '--lr', '1e300'],
        '--lr: training diverged at step 1: the loss is NaN or infinite',
      ],
    ] as const) {
      const { status, err } = await preamble('tune', ...args, ...more);
      expect([status, err]).toEqual([
        1,
        typeof message === 'string' ? expect.stringContaining(`preamble: ${message}`) : expect.stringMatching(message),
      ]);
    }
  });

  it.each([
    ['not JSON', 'data.jsonl line 2: not JSON'],
    ['{"prompt":"a"}', 'data.jsonl line 2: completion is missing: a line has prompt and completion'],
    ['[1', 'data.jsonl line 2: not JSON'],
  ])('names file, line and field of bad data: %s', async (bad, message) => {
    const { data, out } = await files(`${line(0)}\n${bad}\n`);
    const { status, err } = await preamble('tune', '--train', data, '--out', out);
    expect(status).toBe(1);
    expect(err).toContain(message);
    expect(existsSync(out)).toBe(false);
  });
});
