import { describe, expect, it } from 'vitest';

import { whyThreads } from '../../src/cli/doctor/sections/choices.js';
import { chooseFastest } from '../../src/cli/doctor/measure/fastest.js';
import type { ChunkTime, StepTime } from '../../src/cli/doctor/measure/times.js';
import { showBytes } from '../../src/cli/doctor/report.js';
import { defaultConfig } from '../../src/config/config.js';
import { physicalCores, type Cores } from '../../src/config/cores.js';

describe('threads', () => {
  const machine: Cores = { logical: 16, physical: 8, allowed: 16, quota: Infinity };
  it.each<[Partial<Cores>, number, RegExp]>([
    [{}, 8, /hyper-threads share/],
    [{ logical: 8, allowed: 8 }, 8, /no hyper-threads/],
    [{ quota: 2.5 }, 3, /quota of 2.5/],
    [{ quota: 0.5 }, 1, /quota of 0.5/],
    [{ allowed: 4 }, 4, /affinity/],
    [{ physical: undefined }, 16, /does not tell/],
  ])('%j: %i', (some, threads, why) => {
    const cores = { ...machine, ...some };
    expect(physicalCores(cores)).toBe(threads);
    expect(whyThreads(cores)).toMatch(why);
  });
});

describe('chooseFastest', () => {
  const config = { ...defaultConfig(), threads: 2, spin: 'on' as const, maxChunkTokens: 64 };
  const step = (threads: number, spin: 'on' | 'off', rows: number, tokens_per_second: number): StepTime => ({
    threads,
    spin,
    rows,
    tokens_per_second,
    milliseconds: (1000 * rows) / tokens_per_second,
  });
  const chunk = (chunk_tokens: number, milliseconds: number): ChunkTime => ({
    chunk_tokens,
    rows: 8,
    milliseconds,
    prompt_tokens_per_second: (1000 * chunk_tokens) / milliseconds,
    slowdown: milliseconds / 40,
  });
  const values = (steps: StepTime[], chunks: ChunkTime[]): unknown[] =>
    chooseFastest(config, steps, chunks).map(({ value }) => value);

  it('goes by the most rows', () => {
    expect(values([step(2, 'on', 1, 50), step(2, 'on', 32, 300), step(4, 'on', 1, 20), step(4, 'off', 32, 500)], [])).toEqual([4, 'off']); // prettier-ignore
  });

  it('keeps what is set where the difference is noise', () => {
    expect(values([step(2, 'on', 32, 300), step(4, 'off', 32, 312)], [])).toEqual([2, 'on']);
    expect(values([step(2, 'on', 32, 300), step(4, 'off', 32, 330)], [])).toEqual([4, 'off']);
  });

  it('takes the chunk with the most prompt tokens that does not double a step', () => {
    const steps = [step(2, 'on', 32, 300)];
    expect(values(steps, [chunk(16, 50), chunk(32, 60), chunk(64, 100), chunk(128, 190)])[2]).toBe(32);
    expect(values(steps, [chunk(16, 50), chunk(32, 60), chunk(64, 79), chunk(128, 190)])[2]).toBe(64);
    expect(values(steps, [chunk(16, 90), chunk(32, 100)])[2]).toBe(16);
  });

  it('takes any chunk whose step nobody notices', () => {
    const times = [16, 64, 256].map((tokens) => ({ ...chunk(tokens, tokens / 40), slowdown: 9 }));
    expect(values([step(2, 'on', 32, 300)], [...times, { ...chunk(512, 21), slowdown: 9 }])[2]).toBe(64);
    const faster = times.map((time) => ({ ...time, prompt_tokens_per_second: time.chunk_tokens }));
    expect(values([step(2, 'on', 32, 300)], faster)[2]).toBe(256);
  });
});

it.each([
  [0, '0 bytes'],
  [1, '1 bytes'],
  [1000, '1000 bytes'],
  [1536, '1.5 KiB'],
  [2 ** 30, '1 GiB'],
  [2 ** 52, '4100 TiB'],
])('%i is %s', (bytes, text) => {
  expect(showBytes(bytes)).toBe(text);
});
