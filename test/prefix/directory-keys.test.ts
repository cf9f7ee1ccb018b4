import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { DirectoryKeys } from '../../src/prefix/on-disk/directory-keys.js';

const LONG_AGO = new Date('2020-01-01T00:00:00Z');
let directory: string;
let keys: DirectoryKeys;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-keys-'));
  for (const name of ['c', 'a', 'e']) create(name);
  settle();
  keys = new DirectoryKeys();
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

function create(name: string): void {
  fs.mkdirSync(path.join(directory, name));
}

/** Makes it look as if nothing had changed in it for years, whatever was done to it just now. */
function settle(): void {
  fs.utimesSync(directory, LONG_AGO, LONG_AGO);
}

function all(): Promise<string[]> {
  return keys.after(directory, '', 100);
}

it('gives a part of the entries in order', async () => {
  expect(await all()).toEqual(['a', 'c', 'e']);
  expect(await keys.after(directory, 'a', 1)).toEqual(['c']);
  expect(await keys.after(directory, 'b', 5)).toEqual(['c', 'e']);
  expect(await keys.after(directory, 'e', 5)).toEqual([]);
  expect(await keys.after(path.join(directory, 'missing'), '', 5)).toEqual([]);
});

it('finds an entry among any number, and lets others have their turn meanwhile', async () => {
  const names = Array.from({ length: 1200 }, (_, i) => `n${String(i).padStart(4, '0')}`);
  vi.spyOn(fsPromises, 'readdir').mockResolvedValueOnce(names as never);
  for (const name of ['n0000', 'n0511', 'n0512', 'n1199']) {
    expect(await keys.find(directory, (key) => key === name)).toBe(name);
  }
  let seen = 0;
  let seenByOthers = 0;
  const isNone = (): boolean => {
    if (seen++ === 0) setImmediate(() => (seenByOthers = seen));
    return false;
  };
  expect(await keys.find(directory, isNone)).toBeUndefined();
  expect(seen).toBe(1200);
  expect(seenByOthers).toBeLessThan(1200);
  expect(await keys.find(path.join(directory, 'missing'), () => true)).toBeUndefined();
});

it('reads a directory once while it does not change, and again when it has', async () => {
  await all();
  create('b');
  settle();
  expect(await all()).toEqual(['a', 'c', 'e']); // not read: it looks unchanged
  create('d');
  expect(await all()).toEqual(['a', 'b', 'c', 'd', 'e']);
});

it('does not trust a time of change within the same tick', async () => {
  const now = new Date();
  fs.utimesSync(directory, now, now);
  await all();
  create('b');
  fs.utimesSync(directory, now, now);
  expect(await all()).toEqual(['a', 'b', 'c', 'e']);
});

it('follows its own changes without reading', async () => {
  await all();
  create('hidden');
  settle();
  await keys.change(directory, 'd', true, async () => create('d'));
  expect(await all()).toEqual(['a', 'c', 'd', 'e']);
  await keys.change(directory, 'a', false, async () => fs.rmdirSync(path.join(directory, 'a')));
  await keys.change(directory, 'x', false, async () => undefined);
  expect(await all()).toEqual(['c', 'd', 'e']);
});

it('reads again after a change that failed, and after one that was not the only one', async () => {
  await all();
  await expect(keys.change(directory, 'b', true, () => Promise.reject(new Error('full')))).rejects.toThrow('full');
  expect(await all()).toEqual(['a', 'c', 'e']);
  create('b');
  await keys.change(directory, 'd', true, async () => create('d'));
  expect(await all()).toEqual(['a', 'b', 'c', 'd', 'e']);
});
