import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { StoreError } from '../../src/lib/store-error.js';
import { CachedPrefixStore } from '../../src/prefix/cached-store.js';
import { PrefixError } from '../../src/prefix/errors.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { adapterId } from '../../src/prefix/name.js';
import { base, storeUpload } from './fixtures.js';
import { describeStore } from './store-contract.js';

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-cached-'));
afterAll(() => fs.rmSync(temporary, { recursive: true }));

const openStore = (): Promise<DiskPrefixStore> =>
  DiskPrefixStore.open(fs.mkdtempSync(path.join(temporary, 'store-')), base.fingerprint);

describeStore('a store behind a cache', async () => {
  const directory = fs.mkdtempSync(path.join(temporary, 'store-'));
  return async (fingerprint) => new CachedPrefixStore(await DiskPrefixStore.open(directory, fingerprint));
});

describe('the cache of names', () => {
  let store: DiskPrefixStore;
  let cached: CachedPrefixStore;
  let now: number;
  const [one, two] = [storeUpload('a', 1), storeUpload('a', 2)];
  const version = async (): Promise<string | undefined> => (await cached.get('T', 'a'))?.version;
  const away = (): Promise<never> => Promise.reject(new StoreError('prefixes', 'unavailable'));

  beforeEach(async () => {
    store = await openStore();
    now = 1000;
    cached = new CachedPrefixStore(store, { now: () => now });
    await cached.put('T', one);
    expect(await version()).toBe(one.info.version);
  });

  it('answers by itself for 0.4 s, and then asks again', async () => {
    const get = vi.spyOn(store, 'get');
    await store.put('T', two);
    now += 399;
    expect(await version()).toBe(one.info.version);
    expect(get).not.toHaveBeenCalled();
    now += 1;
    expect(await version()).toBe(two.info.version);
    expect(await cached.get('T', 'a', one.info.version.slice(0, 12))).toMatchObject(one.info);
    expect(get).toHaveBeenCalledTimes(1);
  });

  it('asks at once for what it is told to forget, by name or all', async () => {
    await store.put('T', two);
    cached.forget('t', 'a');
    expect(await version()).toBe(one.info.version); // another tenant's
    cached.forget('t~e632b7095b0bf32c', 'a');
    expect(await version()).toBe(two.info.version);
    await store.delete('T', 'a');
    cached.expire();
    expect(await version()).toBeUndefined();
  });

  it('keeps what it knew where a change is older than that, for when the store is away', async () => {
    cached.forget('t~e632b7095b0bf32c', 'a', one.info.version);
    const get = vi.spyOn(store, 'get').mockImplementationOnce(away);
    expect(await version()).toBe(one.info.version);
    expect(get).toHaveBeenCalledTimes(1);
    get.mockImplementation(away);
    cached.forget('t~e632b7095b0bf32c', 'a', two.info.version);
    await expect(version()).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('sees its own changes at once, also one whose answer was lost', async () => {
    await cached.put('T', two);
    expect(await version()).toBe(two.info.version);
    await cached.promote('T', 'a', one.info.version);
    expect(await version()).toBe(one.info.version);
    vi.spyOn(store, 'delete').mockImplementationOnce(async (...args) => {
      await DiskPrefixStore.prototype.delete.apply(store, args);
      return away();
    });
    await expect(cached.delete('T', 'a')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await version()).toBeUndefined();
  });

  it('does not take an answer that is older than a change', async () => {
    now += 400;
    const old = await store.get('T', 'a');
    let answer: (details: typeof old) => void = () => undefined;
    vi.spyOn(store, 'get').mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)));
    const early = version();
    await store.put('T', two);
    cached.forget('t~e632b7095b0bf32c', 'a');
    answer(old);
    await early;
    expect(await version()).toBe(two.info.version);
  });

  it('asks once, however many want to know', async () => {
    const get = vi.spyOn(store, 'get');
    now += 400;
    await Promise.all(Array.from({ length: 10 }, version));
    expect(get).toHaveBeenCalledTimes(1);
  });

  it('goes on with what it knew while the store is away, and with nothing else', async () => {
    const get = vi.spyOn(store, 'get').mockImplementation(away);
    now += 10_000;
    expect(await version()).toBe(one.info.version);
    cached.expire();
    expect(await version()).toBe(one.info.version);
    await expect(cached.get('T', 'b')).rejects.toMatchObject({ code: 'store_unavailable' });
    cached.forget('t~e632b7095b0bf32c', 'a');
    await expect(version()).rejects.toMatchObject({ code: 'store_unavailable' });
    get.mockRestore();
    expect(await version()).toBe(one.info.version);
  });

  it('goes on with what it knew while the store hangs, and takes the answer when it comes', async () => {
    await store.put('T', two);
    const details = await store.get('T', 'a');
    let answer: (found: typeof details) => void = () => undefined;
    vi.spyOn(store, 'get').mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)));
    now += 400;
    expect(await version()).toBe(one.info.version);
    answer(details);
    expect(await version()).toBe(two.info.version);
  });

  it('does not hide damage, nor serve what is gone when the store is away again', async () => {
    const get = vi.spyOn(store, 'get').mockRejectedValueOnce(new PrefixError('prefix_damaged', 'damaged'));
    now += 400;
    await expect(version()).rejects.toMatchObject({ code: 'prefix_damaged' });
    await store.delete('T', 'a');
    expect(await version()).toBeUndefined();
    get.mockImplementation(away);
    await expect(version()).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});

describe('the cache of adapter ids', () => {
  let store: DiskPrefixStore;
  let cached: CachedPrefixStore;
  let now: number;
  const id = adapterId('T', 'a');
  const byId = async (): Promise<string | undefined> => {
    const name = await cached.nameOf('T', id);
    return name && (await cached.get('T', name))?.version;
  };
  const away = (): Promise<never> => Promise.reject(new StoreError('prefixes', 'unavailable'));
  const [one, two, called] = [storeUpload('a', 1), storeUpload('a', 2), storeUpload(id, 3)];

  beforeEach(async () => {
    store = await openStore();
    now = 1000;
    cached = new CachedPrefixStore(store, { now: () => now });
    await cached.put('T', one);
    expect(await byId()).toBe(one.info.version);
  });

  it('answers by itself for 0.4 s, also what a new version is', async () => {
    const nameOf = vi.spyOn(store, 'nameOf');
    now += 399;
    await cached.put('T', two);
    expect(await byId()).toBe(two.info.version);
    expect(nameOf).not.toHaveBeenCalled();
    now += 1;
    expect(await byId()).toBe(two.info.version);
    expect(nameOf).toHaveBeenCalledTimes(1);
  });

  it('does not remember an id that is not there', async () => {
    const other = adapterId('T', 'b');
    expect(await cached.nameOf('T', other)).toBeUndefined();
    await store.put('T', storeUpload('b', 1));
    expect(await cached.nameOf('T', other)).toBe('b');
    expect(await cached.nameOf('t', other)).toBeUndefined();
  });

  it('goes on with ids that it knew while the store is away or hangs, and with no other', async () => {
    vi.spyOn(store, 'get').mockImplementation(away);
    const nameOf = vi.spyOn(store, 'nameOf').mockImplementation(away);
    now += 10_000;
    expect(await byId()).toBe(one.info.version);
    cached.expire();
    expect(await byId()).toBe(one.info.version);
    await expect(cached.nameOf('T', adapterId('T', 'b'))).rejects.toMatchObject({ code: 'store_unavailable' });
    nameOf.mockImplementation(() => new Promise(() => undefined));
    now += 10_000;
    expect(await byId()).toBe(one.info.version);
  });

  it('finds nothing by the id of a name that is gone', async () => {
    await store.delete('T', 'a');
    cached.forget('t~e632b7095b0bf32c', 'a');
    expect(await byId()).toBeUndefined();
  });

  it('asks at once when a name that looks like the id comes or goes', async () => {
    await store.put('T', called);
    cached.forget('t', id);
    expect(await byId()).toBe(one.info.version); // another tenant's
    cached.forget('t~e632b7095b0bf32c', id, called.info.version);
    expect(await byId()).toBe(called.info.version);
    await cached.delete('T', id);
    expect(await byId()).toBe(one.info.version);
    await store.put('T', called);
    now += 400; // the message is lost
    expect(await byId()).toBe(called.info.version);
  });
});
