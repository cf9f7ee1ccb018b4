import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { describe, expect, it, onTestFinished } from 'vitest';

import type { Span } from '../../src/engine/runner.js';
import type { Model } from '../../src/model/model.js';
import { compileModel } from '../../src/model/compile/compiled-model.js';
import { golden } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { randomBart } from '../support/random-bart.js';

async function temporaryCache(): Promise<string> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-packed-'));
  onTestFinished(() => fs.rm(directory, { recursive: true }));
  return directory;
}

const { directory: source } = golden('tiny-a');

async function open(cache: string, savePacked = true): Promise<Model> {
  const model = await openTestModel(source, { cache, savePacked });
  onTestFinished(() => model.dispose());
  return model;
}

const span = (slot: number, past: number, ...tokens: number[]): Span => {
  return { slot, tokens, past, logits: 'all', temperature: 1 };
};

/** Logits of steps of every kind: a chunk, rows, a chunk beside rows, several tokens in several rows. */
async function logitsOf({ runner }: Model): Promise<number[][]> {
  const logits: number[][] = [];
  const step = async (...rows: Span[]): Promise<void> => {
    const output = await runner.step({ rows, topK: 1 });
    for (let row = 0; row < output.rows; row++) logits.push([...output.logits(row)]);
  };
  await step(span(0, 0, 3, 1, 4, 1, 5));
  await step(span(1, 0, 2, 7, 1));
  await step(span(0, 5, 9), span(1, 3, 8));
  await step(span(0, 6, 2), span(1, 4, 6), span(2, 0, 5, 3, 5, 8));
  await step(span(0, 7, 9, 7), span(1, 5, 3, 2));
  return logits;
}

/** The directory of the packed weights in a cache, and what its file is. */
async function packedIn(cache: string): Promise<{ directory: string; file: string; index: string; inode: number }> {
  const found = (await fs.readdir(cache)).filter((name) => name.includes('-packed-'));
  expect(found).toHaveLength(1);
  const directory = path.join(cache, found[0] as string);
  const file = path.join(directory, 'packed.bin');
  return { directory, file, index: path.join(directory, 'packed.json'), inode: (await fs.stat(file)).ino };
}

/** Ranges of files that this process has mapped, by the name of the file. */
async function mappingsOf(name: string): Promise<number> {
  return (await fs.readFile('/proc/self/maps', 'utf8')).split('\n').filter((line) => line.endsWith(name)).length;
}

const isLinux = process.platform === 'linux';

describe('packed weights in the cache', () => {
  it('are mapped by every graph, and give the very logits of those in memory', async () => {
    const cache = await temporaryCache();
    const expected = await logitsOf(await open(cache, false));
    expect((await fs.readdir(cache)).filter((name) => name.includes('packed'))).toEqual([]);
    const model = await open(cache);
    const { file } = await packedIn(cache);
    const before = isLinux ? await mappingsOf(file) : 0;
    if (isLinux) expect(before).toBeGreaterThan(0);
    expect(await logitsOf(model)).toStrictEqual(expected);
    // The graph of chunks beside rows, and those of several tokens in several rows.
    if (isLinux) expect(await mappingsOf(file)).toBeGreaterThanOrEqual(2 * before);
    expect(model.warnings).toEqual([]);
  });

  it('are made once for all starts, and once where several start together', async () => {
    const cache = await temporaryCache();
    await compileModel({ source, cache });
    const models = await Promise.all([open(cache), open(cache), open(cache)]);
    const { inode } = await packedIn(cache);
    const [first, ...others] = await Promise.all(models.map(logitsOf));
    for (const other of others) expect(other).toStrictEqual(first);
    expect(await logitsOf(await open(cache))).toStrictEqual(first);
    expect((await packedIn(cache)).inode).toBe(inode);
    expect((await fs.readdir(cache)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it.each<[string, (packed: { file: string; index: string }) => Promise<void>]>([
    ['was cut short', ({ file }) => fs.truncate(file, 5000)],
    ['has other bytes', async ({ file }) => fs.writeFile(file, Buffer.alloc((await fs.stat(file)).size, 1))],
    ['is missing', ({ file }) => fs.rm(file)],
    ['has an index that is damaged', ({ index }) => fs.writeFile(index, '{"format":')],
    ['has an index of another version', ({ index }) => fs.writeFile(index, '{"format":"preamble-packed-0"}')],
    ['has no index', ({ index }) => fs.rm(index)],
  ])('are made anew when their file %s', async (_, damage) => {
    const cache = await temporaryCache();
    const first = await open(cache);
    const expected = await logitsOf(first);
    await first.dispose();
    const before = await packedIn(cache);
    await damage(before);
    expect(await logitsOf(await open(cache))).toStrictEqual(expected);
    const after = await packedIn(cache);
    expect((await fs.stat(after.file)).size).toBeGreaterThan(5000);
    expect(JSON.parse(await fs.readFile(after.index, 'utf8'))).toMatchObject({ format: 'preamble-packed-1' });
  });

  it('that a processor would pack otherwise are left unused', async () => {
    const cache = await temporaryCache();
    const first = await open(cache);
    const expected = await logitsOf(first);
    await first.dispose();
    const { index } = await packedIn(cache);
    const text = await fs.readFile(index, 'utf8');
    await fs.writeFile(index, text.replaceAll(/(Gemm|MatMul)\+\d+/g, '$1+1'));
    expect(await fs.readFile(index, 'utf8')).not.toBe(text);
    expect(await logitsOf(await open(cache))).toStrictEqual(expected);
  });

  it('that are removed while they are in use leave later graphs without', async () => {
    const cache = await temporaryCache();
    const expected = await logitsOf(await open(cache, false));
    const model = await open(cache);
    await fs.rm((await packedIn(cache)).directory, { recursive: true });
    expect(await logitsOf(model)).toStrictEqual(expected);
  });

  it('are done without where the cache cannot be written to, with a warning', async () => {
    const cache = await temporaryCache();
    const compiled = await compileModel({ source, cache });
    const noDirectory = path.join(cache, 'a-file');
    await fs.writeFile(noDirectory, '');
    const model = await openTestModel(compiled, { cache: noDirectory, savePacked: true });
    onTestFinished(() => model.dispose());
    expect(model.warnings).toEqual([expect.stringMatching(/packed weights .* could not be saved: .*a-file/)]);
    expect(await logitsOf(model)).toStrictEqual(await logitsOf(await open(cache, false)));
  });

  it('of an encoder-decoder are those of its encoder too', async () => {
    const cache = await temporaryCache();
    const logits = async (savePacked: boolean): Promise<number[]> => {
      const model = await openTestModel(randomBart().directory, { cache, slots: 1, savePacked });
      onTestFinished(() => model.dispose());
      const encoding = model.runner.sources?.begin(0, [0, 40, 77, 12, 2]);
      while (!((await encoding?.advance(64)) ?? true)); // until it is encoded
      encoding?.dispose();
      const row = { slot: 0, source: 0, tokens: [2, 9, 31], past: 0, logits: 'last', temperature: 1 } as const;
      return [...(await model.runner.step({ rows: [row], topK: 1 })).logits(0)];
    };
    expect(await logits(true)).toStrictEqual(await logits(false));
    const { weights } = JSON.parse(await fs.readFile((await packedIn(cache)).index, 'utf8')) as {
      weights: [string, unknown][];
    };
    const names = weights.map(([name]) => name);
    expect(names.some((name) => name.includes('encoder.'))).toBe(true);
    expect(names.some((name) => name.includes('decoder.'))).toBe(true);
  });
});
