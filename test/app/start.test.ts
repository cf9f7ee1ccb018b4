import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';

import { expect, it } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { addressOf, exitStatus, type Running, startProgram } from '../support/program.js';

const prompts = [
  { prompt: 'The', max_tokens: 12 },
  { prompt: 'Once upon a time there was a', max_tokens: 12 },
  { prompt: 'A', max_tokens: 12, n: 2 },
];

interface Choices {
  readonly choices: { text: string }[];
}

async function complete(address: string, body: object): Promise<string[]> {
  const answer = await fetch(`${address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'preamble-demo', temperature: 0, ...body }),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as Choices).choices.map(({ text }) => text);
}

async function stop(running: Running): Promise<void> {
  running.process.kill('SIGTERM');
  expect(await exitStatus(running), running.output.err).toBe(0);
}

it('answers the first requests at once, alone and together, as it does later', async () => {
  const cache = { PREAMBLE_CACHE: await temporaryDirectory(), PREAMBLE_SLOTS: '4' };
  // The second start finds everything made, and opens what a chunk beside rows needs while it answers.
  for (let start = 0; start < 2; start++) {
    const running = await startProgram(cache);
    const address = await addressOf(running);
    const together = await Promise.all(prompts.map((body) => complete(address, body)));
    const alone: string[][] = [];
    for (const body of prompts) alone.push(await complete(address, body));
    expect(together).toStrictEqual(alone);
    await stop(running);
  }
});

it('ends cleanly when it is stopped as soon as it listens', async () => {
  const running = await startProgram({ PREAMBLE_CACHE: await temporaryDirectory() });
  await addressOf(running);
  await stop(running);
});

it('two that start together on an empty cache serve the same', async () => {
  const cache = { PREAMBLE_CACHE: await temporaryDirectory() };
  const both = await Promise.all([startProgram(cache), startProgram(cache)]);
  const texts = await Promise.all(
    both.map(async (running) => complete(await addressOf(running), prompts[1] as object)),
  );
  expect(texts[0]).toStrictEqual(texts[1]);
  await Promise.all(both.map(stop));
  const left = await fs.readdir(cache.PREAMBLE_CACHE);
  expect(left.filter((name) => name.startsWith('.'))).toEqual([]);
  expect(left.filter((name) => name.includes('-packed-'))).toHaveLength(1);
});

it('a graph that cannot be opened later ends the server with its message', async () => {
  const cache = await temporaryDirectory();
  execFileSync(process.execPath, [path.join(packageRoot, 'dist/cli/main.js'), 'import-model', 'models/preamble-demo'], {
    cwd: packageRoot,
    env: { PATH: process.env['PATH'], PREAMBLE_CACHE: cache },
    stdio: 'ignore',
  });
  const [model] = await fs.readdir(cache);
  await fs.writeFile(path.join(cache, model as string, 'mixed.onnx'), 'no graph');
  const running = await startProgram({ PREAMBLE_CACHE: cache });
  expect(await exitStatus(running)).toBe(1);
  expect(running.output.out).toContain('listens on');
  expect(running.output.err).toMatch(/preamble: .*CreateSession/);
});
