import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { StoreError } from '../../src/lib/store-error.js';
import { failureOf, StoreHealth } from '../../src/lib/store-health.js';

const readOnly = { reason: 'read_only', cause: 'READONLY' } as const;
const away = { reason: 'unavailable', cause: 'ECONNREFUSED' } as const;

let told: unknown[];
let works: boolean;
let health: StoreHealth;
beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  works = false;
  health = new StoreHealth(async () => works);
  health.observe({ storeFails: (failure) => told.push(failure), storeWorks: (seconds) => told.push(seconds) });
});
afterEach(() => {
  health.close();
  vi.useRealTimers();
});

const pass = (seconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(seconds * 1000);

it('tells once that a store fails and once that it works, with the time between', async () => {
  for (let i = 0; i <= 20; i++) {
    if (i > 0) await pass(1);
    health.failed({ ...away, cause: i === 5 ? 'ECONNRESET' : away.cause });
  }
  expect([told, health.isFailing]).toEqual([[away], true]);
  works = true;
  await pass(2);
  expect(told).toEqual([away]);
  await pass(2);
  expect([told, health.isFailing]).toEqual([[away, 20], false]);
  await pass(60);
  health.failed(away);
  expect(told).toEqual([away, 20, away]);
});

it('tells of another reason, and goes on to fail while the check does though nobody asks', async () => {
  health.failed(away);
  await pass(10);
  health.failed(readOnly);
  await pass(100);
  expect([told, health.isFailing]).toEqual([[away, readOnly], true]);
});

it('does not end while something fails, though the check does not', async () => {
  works = true;
  for (let i = 0; i < 30; i++) {
    health.failed(readOnly);
    await pass(1);
  }
  expect([told, health.isFailing]).toEqual([[readOnly], true]);
});

it('tells one who comes later what has failed already', () => {
  health.failed(away);
  const later: unknown[] = [];
  health.observe({ storeFails: (failure) => later.push(failure), storeWorks: () => undefined });
  expect(later).toEqual([away]);
});

it("takes an error's code for the cause, and never its text", () => {
  const cause = Object.assign(new Error('/data/secret: no space'), { code: 'ENOSPC' });
  expect(failureOf(new StoreError('files', 'full', { cause }))).toEqual({ reason: 'full', cause: 'ENOSPC' });
  expect(failureOf(new StoreError('files', 'too_slow'))).toEqual({ reason: 'too_slow', cause: 'too_slow' });
});
