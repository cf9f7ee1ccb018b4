import fs from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { drawExamples, readStudyData, sharedSources, sourcesOf } from '../../src/study/data.js';
import { planParts, seedRuns } from '../../src/study/plan.js';
import { parseSpec } from '../../src/study/spec.js';
import { temporaryDirectory } from '../server/prefix-library.js';

/** Two examples of each source; the categories take turns. */
const lines = (from: number, sources: number, categories: readonly string[]) =>
  Array.from({ length: 2 * sources }, (_, i) =>
    JSON.stringify({ prompt: [from + (i >> 1)], completion: [i], category: categories[(i >> 1) % categories.length] }),
  ).join('\n');

async function read(data: object, train = lines(0, 20, ['a', 'b'])) {
  const directory = await temporaryDirectory();
  await fs.writeFile(path.join(directory, 'train.jsonl'), train);
  await fs.writeFile(path.join(directory, 'test.jsonl'), lines(100, 9, ['a', 'b', 'c']));
  const files = { train: 'train.jsonl', test: 'test.jsonl' };
  const spec = parseSpec(JSON.stringify({ data: { ...files, ...data }, parts: [{ title: 'x', axes: {} }] }));
  return readStudyData(spec, directory, { separator: '|' });
}

describe("a study's data", () => {
  it('holds whole sources back for validation', async () => {
    const { train, valid } = await read({ valid: 0.25 });
    expect([train.length, valid!.length]).toEqual([30, 10]);
    expect(sharedSources(train, valid!)).toBe(0);
    const again = await read({ valid: 0.25 });
    expect(again.valid).toEqual(valid);
    await expect(read({ valid: 0.01 })).rejects.toThrow('data.valid: 0.01 of 20 sources');
  });

  it('keeps unseen categories out of training and validation', async () => {
    const { train, valid, test, unseen } = await read({ valid: 0.2, unseen: ['b'] });
    expect(unseen).toEqual(['b', 'c']);
    expect([...train, ...valid!].filter(({ category }) => category !== 'a')).toEqual([]);
    expect(test).toHaveLength(18);
    await expect(read({ unseen: ['z'] })).rejects.toThrow('data.unseen: data.test has no example of category z');
    await expect(read({ unseen: ['a'] }, lines(0, 2, ['a']))).rejects.toThrow('data.train: no example is left');
  });

  it('has no unseen categories where training has none, but those that are named', async () => {
    const plain = lines(0, 4, []);
    expect((await read({}, plain)).unseen).toEqual([]);
    expect((await read({ unseen: ['b'] }, plain)).unseen).toEqual(['b']);
  });

  it('has as many test sources as are asked for, with all their examples', async () => {
    const { test } = await read({ test_sources: 4 });
    expect([test!.length, sourcesOf(test!).length]).toEqual([8, 4]);
  });

  it('counts sources that are learned and tested', async () => {
    const { train, test } = await read({}, lines(100, 3, ['a']));
    expect(sharedSources(train, test!)).toBe(3);
  });

  it('draws examples by the seed, fewer among more', async () => {
    const { train } = await read({});
    const axes = { examples: [5, 15, 40], seed: [1, 2] };
    const spec = { data: { train: 'x', test: 'x' }, parts: [{ title: 'x', axes }] };
    const [part] = planParts(parseSpec(JSON.stringify(spec)));
    const [five, otherFive, fifteen, , all] = part!.groups
      .flatMap((group) => seedRuns(group, 1))
      .map(({ settings }) => drawExamples(train, settings));
    expect(new Set(five).size).toBe(5);
    expect(fifteen!.slice(0, 5)).toEqual(five);
    expect(otherFive).not.toEqual(five);
    expect(all).toEqual(train);
  });
});
