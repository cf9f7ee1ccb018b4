import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { EngineFeed } from '../../src/metrics/feed/engine-feed.js';
import { StepWindow } from '../../src/metrics/feed/step-window.js';
import { TenantNumbers } from '../../src/metrics/feed/tenant-numbers.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { collect, engineMaker, type EngineUnderTest, makeRequest } from '../engine/harness.js';

const setUp = engineMaker();

/** An engine with its metrics and a feed of both. */
function feedOf() {
  const metrics: Metrics = new Metrics({
    modelName: 'tiny',
    contextLength: 96,
    engine: () => engine.stats(),
    cachedBytes: () => 7,
  });
  const { engine, runner }: EngineUnderTest = setUp({ slots: 2 }, { observer: metrics });
  const feed = new EngineFeed({ engine, counts: () => metrics.counts(), prefixCacheBytes: () => 7 });
  return { feed, engine, runner, watch: vi.spyOn(engine, 'watch') };
}

describe('the feed of an engine', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  test('tells what was done since the event before', async () => {
    const { feed, engine } = feedOf();
    const subscription = feed.subscribe();
    await Promise.all(['ann', 'bob'].map((tenant) => collect(engine.submit(makeRequest({ tenant, maxTokens: 5 })))));
    vi.advanceTimersByTime(1000);
    const event = await subscription.next();
    expect(event).toMatchObject({ running: 0, waiting: 0, prefixCacheBytes: 7 });
    expect(event?.interval).toMatchObject({ generatedTokens: 10, promptTokens: 6 });
    expect(event?.counts).toMatchObject({ generatedTokens: 10, promptTokens: 6, prefixQueries: 0 });
    const { steps = 0, stepSecondsP50 = NaN, stepSecondsP95 = NaN } = event?.interval ?? {};
    expect(steps).toBeGreaterThanOrEqual(5);
    expect(stepSecondsP50).toBeGreaterThan(0);
    expect(stepSecondsP95).toBeGreaterThanOrEqual(stepSecondsP50);
    vi.advanceTimersByTime(1000);
    const idle = await subscription.next();
    expect(idle?.interval).toMatchObject({ steps: 0, generatedTokens: 0, stepSecondsP50: undefined });
    expect(idle?.counts).toMatchObject({ generatedTokens: 10 });
    subscription.end();
  });

  test('watches the engine once for all, and neither watches nor counts time when nobody listens', async () => {
    const { feed, watch } = feedOf();
    expect(watch).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
    const subscriptions = [feed.subscribe(), feed.subscribe()];
    expect(watch).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1000);
    const [one, other] = await Promise.all(subscriptions.map((subscription) => subscription.next()));
    expect(one).toBe(other);
    for (const subscription of subscriptions) subscription.end();
    expect(vi.getTimerCount()).toBe(0);
    feed.subscribe().end(); // the engine can be watched again: it was let go
    expect(watch).toHaveBeenCalledTimes(2);
  });

  test('keeps the newest event alone for one who is slow', async () => {
    const { feed, engine } = feedOf();
    const subscription = feed.subscribe();
    const offer = vi.spyOn(subscription, 'offer');
    for (let events = 1; events <= 3; events++) {
      await collect(engine.submit(makeRequest({ maxTokens: 2 })));
      vi.advanceTimersByTime(1000);
      await vi.waitFor(() => expect(offer).toHaveBeenCalledTimes(events));
    }
    expect((await subscription.next())?.counts.generatedTokens).toBe(6);
    const next = subscription.next();
    subscription.end();
    expect(await next).toBeUndefined();
    expect(await subscription.next()).toBeUndefined();
  });

  test('lets no more listen than it says', () => {
    const { feed } = feedOf();
    const subscriptions = Array.from({ length: EngineFeed.maxSubscriptions }, () => feed.subscribe());
    expect(feed.isFull).toBe(true);
    expect(() => feed.subscribe()).toThrow('too many');
    subscriptions[0]?.end();
    expect(feed.isFull).toBe(false);
    feed.endAll();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('has numbers for tenants, in events and in an answer alike', async () => {
    const { feed, engine, runner } = feedOf();
    let now = feed.now();
    runner.beforeStep = () => void (now = feed.now());
    await Promise.all(
      ['quokka', 'wombat'].map((tenant) => collect(engine.submit(makeRequest({ tenant, prompt: [1], maxTokens: 4 })))),
    );
    const { interval, slots } = await now;
    expect(interval).toBeUndefined();
    expect(slots.map(({ tenant }) => tenant).sort()).toEqual([1, 2]);
  });
});

test('a tenant keeps its number until thousands of others have come', () => {
  const numbers = new TenantNumbers();
  expect(['a', 'b', 'a'].map((name) => numbers.of(name))).toEqual([1, 2, 1]);
  for (let other = 0; other < 4095; other++) numbers.of(`other-${other}`);
  expect(numbers.of('a')).toBe(1);
  expect(numbers.of('b')).toBe(4098);
});

test('a window has the quantiles of its steps, and of many the newest', () => {
  const window = new StepWindow(10);
  const step = (seconds: number): void => window.stepped({ kind: 'decode', rows: 1, chunkTokens: 0, seconds });
  for (let index = 100; index >= 1; index--) step(index);
  expect(window.take(12)).toEqual({ seconds: 2, steps: 100, promptTokens: 0, generatedTokens: 0, stepSecondsP50: 50, stepSecondsP95: 95 }); // prettier-ignore
  for (let index = 0; index < 5000; index++) step(9);
  for (let index = 0; index < 4096; index++) step(0);
  expect(window.take(13)).toMatchObject({ seconds: 1, steps: 9096, stepSecondsP50: 0, stepSecondsP95: 0 });
});
