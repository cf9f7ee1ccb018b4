import { describe, expect, test } from 'vitest';

import type { Engine } from '../../src/engine/engine.js';
import { INPUT_COST, OUTPUT_COST, VirtualCounters } from '../../src/engine/policy/fair-share.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import { collect, makeEngine, makeRequest, type EngineUnderTest } from './harness.js';

const SLOTS = 8;
const LONGEST_PROMPT = 40;
const LONGEST_OUTPUT = 30;
/** The paper's bound: what two backlogged tenants' services may differ by, over their weights. */
const BOUND = 2 * Math.max(INPUT_COST * LONGEST_PROMPT, OUTPUT_COST * SLOTS * (LONGEST_PROMPT + LONGEST_OUTPUT));

function simulate(): EngineUnderTest {
  const limits = { maxWaitingRequests: 10_000, maxWaitingTokens: 10_000_000, maxChunkTokens: 64 };
  return makeEngine({ slots: SLOTS, contextLength: 80, vocabularySize: 8 }, { limits });
}

/** A tenant's request; its sizes depend on its number only. */
function requestOf(tenant: string, number: number, changes: Partial<GenerationRequest> = {}): GenerationRequest {
  const promptLength = 1 + ((number * 17) % LONGEST_PROMPT);
  const maxTokens = 1 + ((number * 11) % LONGEST_OUTPUT);
  return makeRequest({ tenant, prompt: Array<number>(promptLength).fill(1), maxTokens, ...changes });
}

/** Submits a tenant's requests all at once and counts, as the paper does, what it is served. */
class Backlog {
  served = 0;
  left: number;

  constructor(
    engine: Engine,
    readonly requests: readonly GenerationRequest[],
  ) {
    this.left = requests.length;
    for (const request of requests) void this.#run(engine, request);
  }

  async #run(engine: Engine, request: GenerationRequest): Promise<void> {
    let isFirst = true;
    for await (const event of engine.submit(request)) {
      if (event.type !== 'token') continue;
      if (isFirst) this.served += INPUT_COST * request.prompt.length;
      if (isFirst) this.left--;
      isFirst = false;
      this.served += OUTPUT_COST;
    }
  }
}

/** Runs until a tenant has nothing waiting any more, and returns the largest difference of services over weights on the way. */
async function largestDifference({ engine, runner }: EngineUnderTest, tenants: [Backlog, number][]): Promise<number> {
  let largest = 0;
  runner.beforeStep = () => {
    if (tenants.some(([{ left }]) => left <= SLOTS)) return;
    const services = tenants.map(([{ served }, weight]) => served / weight);
    largest = Math.max(largest, Math.max(...services) - Math.min(...services));
  };
  await engine.idle();
  engine.checkIntegrity();
  return largest;
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('fairness between tenants', () => {
  test('two backlogged tenants are served alike within the bound, though one came first and asks for much more', async () => {
    const simulation = simulate();
    const greedy = new Backlog(
      simulation.engine,
      numbers(2000).map((i) => requestOf('greedy', i, { prompt: Array<number>(LONGEST_PROMPT).fill(1) })),
    );
    const modest = new Backlog(
      simulation.engine,
      numbers(1200).map((i) => requestOf('modest', i)),
    );
    const difference = await largestDifference(simulation, [
      [greedy, 1],
      [modest, 1],
    ]);
    expect(difference).toBeLessThanOrEqual(BOUND);
    // Served in order of arrival, the first tenant would have been ahead by all of its work.
    expect(greedy.served).toBeGreaterThan(20 * BOUND);
  });

  test('service is in proportion to weight, within the bound', async () => {
    const simulation = simulate();
    const backlogOf = (tenant: string, weight: number): Backlog => {
      const share = { weight, queueShare: 1 };
      return new Backlog(
        simulation.engine,
        numbers(400 * weight).map((i) => requestOf(tenant, i, { share })),
      );
    };
    const [one, three] = [backlogOf('one', 1), backlogOf('three', 3)];
    const difference = await largestDifference(simulation, [
      [one, 1],
      [three, 3],
    ]);
    expect(difference).toBeLessThanOrEqual(BOUND);
    expect(three.served).toBeGreaterThan(20 * BOUND);
  });

  test('a light tenant beside a heavy one waits about as long as alone', async () => {
    const light = { prompt: [1, 2, 3], maxTokens: 20 };
    const alone = simulate();
    await collect(alone.engine.submit(requestOf('light', 0, light)));
    const stepsAlone = alone.runner.steps.length;

    const { engine, runner } = simulate();
    const heavy = new Backlog(
      engine,
      numbers(2000).map((i) => requestOf('heavy', i)),
    );
    const steps: number[] = [];
    for (let i = 0; i < 100; i++) {
      const before = runner.steps.length;
      await collect(engine.submit(requestOf('light', i, light)));
      steps.push(runner.steps.length - before);
    }
    expect(heavy.left).toBeGreaterThan(200);
    // Nothing is preempted: a slot must become free, and one prompt at a time is in prefill.
    const median = steps.toSorted((a, b) => a - b)[50] ?? Infinity;
    expect(median).toBeLessThan(1.5 * stepsAlone);
    expect(Math.max(...steps)).toBeLessThan(stepsAlone + LONGEST_OUTPUT);
    await engine.idle();
  });
});

describe('virtual token counters', () => {
  test('lift one that comes back to those who wait, or to the one that left last', () => {
    const counters = new VirtualCounters();
    counters.join('a', new Set());
    counters.add('a', 100);
    counters.join('b', new Set(['a']));
    expect(counters.of('b')).toBe(100);
    counters.add('b', 5);
    counters.leave('a');
    counters.leave('b');
    counters.join('c', new Set());
    expect(counters.of('c')).toBe(105);
  });

  test('keep what a tenant owes while it is away', () => {
    const counters = new VirtualCounters();
    counters.join('a', new Set());
    counters.add('a', 100);
    counters.join('b', new Set(['c']));
    counters.join('a', new Set(['b', 'c']));
    expect([counters.of('a'), counters.of('b')]).toEqual([100, 0]);
  });

  test('do not grow with everybody who ever came', () => {
    const counters = new VirtualCounters();
    for (let i = 0; i < 50_000; i++) {
      counters.join(`tenant-${i}`, new Set());
      counters.add(`tenant-${i}`, 1);
      counters.leave(`tenant-${i}`);
    }
    expect(counters.size).toBeLessThan(5000);
  });
});
