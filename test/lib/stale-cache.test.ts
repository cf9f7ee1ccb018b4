import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, it, vi } from 'vitest';

import { StaleCache } from '../../src/lib/stale-cache.js';
import { StoreError } from '../../src/lib/store-error.js';

/** A store that tells what it is told to, and a clock. */
function setUp(options: { patienceMs?: number; sizeOf?: () => number } = {}) {
  const world = { now: 0, asked: 0, answer: async (): Promise<{ v: number } | undefined> => ({ v: 1 }) };
  const load = async () => {
    world.asked++;
    return world.answer();
  };
  const cache = new StaleCache<{ v: number }>({ maxSize: 2, now: () => world.now, ...options });
  return {
    world,
    known: {
      get: (key: string) => cache.get(key, load),
      expire: () => cache.expire(),
      forget: cache.forget.bind(cache),
    },
  };
}

const away = async () => {
  throw new StoreError('keys', 'unavailable');
};

describe('a value that is served while its store is away', () => {
  it('is believed for its time, and not a moment longer', async () => {
    const { world, known } = setUp();
    await known.get('a');
    world.now = 399;
    await known.get('a');
    expect(world.asked).toBe(1);
    world.now = 400;
    world.answer = async () => ({ v: 2 });
    expect(await known.get('a')).toEqual({ v: 2 });
  });

  it('counts that time from the question', async () => {
    const { world, known } = setUp();
    world.answer = async () => {
      world.now += 300;
      return { v: 1 };
    };
    await known.get('a');
    world.now = 401;
    await known.get('a');
    expect(world.asked).toBe(2);
  });

  it('is asked for once by many', async () => {
    const { world, known } = setUp();
    await Promise.all(Array.from({ length: 9 }, () => known.get('a')));
    expect(world.asked).toBe(1);
  });

  it('is asked for at once when it expires, also what was asked before and is answered after', async () => {
    const { world, known } = setUp();
    let answer = (_: { v: number }): void => undefined;
    world.answer = () => new Promise((resolve) => (answer = resolve));
    const before = known.get('a');
    known.expire();
    answer({ v: 1 });
    await before;
    world.answer = async () => ({ v: 2 });
    expect(await known.get('a')).toEqual({ v: 2 });
    known.expire();
    world.answer = async () => ({ v: 3 });
    expect(await known.get('a')).toEqual({ v: 3 });
  });

  it('stands while the store is away, and what was never known does not', async () => {
    const { world, known } = setUp();
    await known.get('a');
    world.now = 1e9;
    world.answer = away;
    expect(await known.get('a')).toEqual({ v: 1 });
    known.expire();
    expect(await known.get('a')).toEqual({ v: 1 });
    await expect(known.get('b')).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('stands though everything expired while it was asked for', async () => {
    const { world, known } = setUp();
    let answer = (_: { v: number }): void => undefined;
    world.answer = () => new Promise((resolve) => (answer = resolve));
    const before = known.get('a');
    known.expire();
    answer({ v: 1 });
    expect(await before).toEqual({ v: 1 });
    world.answer = away;
    expect(await known.get('a')).toEqual({ v: 1 });
    expect(world.asked).toBe(2);
  });

  it('is gone with what is forgotten or not found, also while the store is away', async () => {
    const { world, known } = setUp();
    for (const key of ['a', 'b']) await known.get(key);
    known.forget('a');
    world.now = 400;
    world.answer = async () => undefined;
    expect(await known.get('b')).toBeUndefined();
    world.answer = away;
    for (const key of ['a', 'b']) await expect(known.get(key)).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('does not come back by an answer to an older question', async () => {
    const { world, known } = setUp();
    let answer = (_: { v: number }): void => undefined;
    world.answer = () => new Promise((resolve) => (answer = resolve));
    const before = known.get('a');
    known.forget('a');
    answer({ v: 1 });
    await before;
    world.answer = away;
    await expect(known.get('a')).rejects.toThrow();
  });

  it('does not remember what was not found, nor more than it may, and hides no other failure', async () => {
    const { world, known } = setUp();
    world.answer = async () => undefined;
    await known.get('a');
    await known.get('a');
    expect(world.asked).toBe(2);
    world.answer = async () => ({ v: 1 });
    for (const key of ['a', 'b', 'c', 'a']) await known.get(key);
    expect(world.asked).toBe(6);
    world.now = 400;
    world.answer = () => Promise.reject(new Error('broken'));
    await expect(known.get('a')).rejects.toThrow('broken');
  });

  it('is served while the store is slow, where patience is limited, until the answer comes', async () => {
    const { world, known } = setUp({ patienceMs: 20 });
    await known.get('a');
    world.now = 400;
    let answer = (_: { v: number }): void => undefined;
    world.answer = () => new Promise((resolve) => (answer = resolve));
    expect(await known.get('a')).toEqual({ v: 1 });
    answer({ v: 2 });
    await vi.waitFor(async () => expect(await known.get('a')).toEqual({ v: 2 }), 30_000);
    expect(world.asked).toBe(2);
  });

  it('is waited for without limit where patience is not limited, and where nothing is known', async () => {
    for (const options of [{}, { patienceMs: 1 }]) {
      const { world, known } = setUp(options);
      if (options.patienceMs === undefined) await known.get('a');
      world.now = 400;
      world.answer = async () => {
        await delay(30);
        return { v: 2 };
      };
      expect(await known.get('a')).toEqual({ v: 2 });
    }
  });

  it('is stale, not gone, where it is forgotten for a change that it has already', async () => {
    const { world, known } = setUp();
    await known.get('a');
    known.forget('a', ({ v }) => v === 1);
    world.answer = away;
    expect(await known.get('a')).toEqual({ v: 1 });
    expect(world.asked).toBe(2);
    known.forget('a', ({ v }) => v === 2);
    await expect(known.get('a')).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('takes the room that its size says', async () => {
    const { world, known } = setUp({ sizeOf: () => 2 });
    for (const key of ['a', 'b', 'a']) await known.get(key);
    expect(world.asked).toBe(3);
  });
});
