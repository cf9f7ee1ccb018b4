import { describe, expect, test } from 'vitest';

import type { Engine } from '../../src/engine/engine.js';
import { INPUT_COST, OUTPUT_COST, VirtualCounters } from '../../src/engine/policy/fair-share.js';
import type { BeamRequest, Generation, GenerationRequest } from '../../src/engine/request.js';
import { makeFakeKv } from './fake-runner.js';
import { collect, makeEngine, makeRequest, runAlone, type Collected, type EngineUnderTest } from './harness.js';

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

/** An interactive request that is submitted during a step, or when it would have begun. */
interface Arrival {
  readonly at: number;
  readonly request: GenerationRequest;
}

interface Arrived {
  /** Number of the step that began with the sequence admitted. */
  readonly admittedAt: number;
  readonly collected: Collected;
}

/** Plays arrivals, step by step; where the engine has nothing to do, steps pass without it. */
async function play({ engine, runner }: EngineUnderTest, arrivals: readonly Arrival[]): Promise<Arrived[]> {
  let step = 0;
  const all: Promise<Arrived>[] = [];
  const left = [...arrivals];
  const submitDue = (): void => {
    while (left.length > 0 && left[0]!.at <= step) {
      let admittedAt = NaN;
      const admitted = (): void => void (admittedAt = step + 1);
      const observe = () => ({ admitted, firstToken: () => undefined, ended: () => undefined });
      const generation = engine.submit({ ...left.shift()!.request, observe });
      all.push(collect(generation).then((collected) => ({ admittedAt, collected })));
    }
  };
  runner.beforeStep = () => {
    step++;
    submitDue();
    engine.checkIntegrity();
  };
  while (left.length > 0) {
    await engine.idle();
    step = Math.max(step, left[0]?.at ?? 0);
    submitDue();
  }
  return Promise.all(all);
}

describe('classes of work', () => {
  const background = (number: number, changes: Partial<GenerationRequest> = {}): GenerationRequest =>
    requestOf(`batch-${number % 3}`, number, { priority: 'background', ...changes });

  /** Bursts of more prompts than there are slots, single ones, and times without any. */
  const arrivals = (slots: number): Arrival[] =>
    numbers(60).map((i) => ({
      at: 150 * Math.floor(i / (slots + 3)) + (i % 5),
      request: requestOf(`tenant-${i % 4}`, i, { sampling: { temperature: 1, topP: 1, topK: 0, seed: i } }),
    }));

  test.each([1, 2, SLOTS])('background never delays an admission by more than one step (%i slots)', async (slots) => {
    const make = (): EngineUnderTest => {
      const limits = { maxWaitingRequests: 10_000, maxWaitingTokens: 1e7, maxChunkTokens: 8, maxLoneChunkTokens: 16 };
      return makeEngine({ slots }, { limits });
    };
    const alone = await play(make(), arrivals(slots));
    const beside = make();
    const requests = numbers(150).map((i) => background(i));
    const backlog = requests.map((request) => collect(beside.engine.submit(request)));
    const delayed = await play(beside, arrivals(slots));
    delayed.forEach(({ admittedAt, collected }, i) => {
      expect(admittedAt - alone[i]!.admittedAt).toBeLessThanOrEqual(1);
      expect(collected).toEqual(alone[i]!.collected);
    });
    // What gave its slot up goes on where it was, and everything comes to its end.
    const finished = await Promise.all(backlog);
    for (const [i, collected] of finished.entries()) expect(collected).toEqual(await runAlone(requests[i]!));
    beside.engine.checkIntegrity();
  });

  /** Takes all three slots for two steps, again and again: in prefill, at the first tokens, and later. */
  const interruptions = [2, 4, 8, 13, 19, 26, 34].flatMap((at) =>
    numbers(3).map((i) => ({ at, request: requestOf('live', i, { prompt: [i], maxTokens: 2 }) })),
  );
  const prompt = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6];
  const changes: [string, Partial<GenerationRequest>][] = [
    ['alone', {}],
    ['behind a prefix', { prefix: { kv: makeFakeKv(6, 1), placement: 'prefix', version: '1' } }],
    ['with an infix', { prefix: { kv: makeFakeKv(6, 2), placement: 'infix', version: '2' }, logprobs: 2 }],
    ['with its prompt scored', { promptLogprobs: 1, logprobs: 1 }],
  ];

  test.each(changes)('what gives its slot up goes on as it was: two of a prompt, %s', async (_, change) => {
    for (const promptCacheBytes of [0, 2000]) {
      const under = makeEngine({ slots: 3 }, { limits: { maxChunkTokens: 4, promptCacheBytes } });
      const promptGroup = Symbol('prompt group');
      const requests = numbers(2).map((choice) => {
        const sampling = { temperature: 1, topP: 1, topK: 0, seed: 5 };
        return background(0, { prompt, maxTokens: 12, sampling, choice, promptGroup, ...change });
      });
      const all = requests.map((request) => collect(under.engine.submit(request)));
      await play(under, interruptions);
      for (const [i, one] of all.entries()) expect(await one).toEqual(await runAlone(requests[i]!));
      // Each interruption took the slots at once.
      expect(under.runner.steps.filter(({ decode }) => decode.length === 3 && decode[0]?.past === 0).length).toBe(7);
    }
  });

  test('a beam search that gives its slots up begins anew, and finds the same', async () => {
    const search: BeamRequest = {
      ...background(0, { prompt, maxTokens: 6, logprobs: 1, promptLogprobs: 1 }),
      width: 3,
      lengthPenalty: 1,
    };
    const collectAll = (generations: Generation[]) => Promise.all(generations.map((generation) => collect(generation)));
    const under = makeEngine({ slots: 3 }, { limits: { maxChunkTokens: 4 } });
    const told: string[] = [];
    const observe = () => ({
      admitted: () => void told.push('admitted'),
      firstToken: () => void told.push('first token'),
      ended: () => void told.push('ended'),
    });
    const found = collectAll(under.engine.submitBeams({ ...search, observe }));
    await play(under, interruptions);
    const alone = makeEngine({ slots: 3 }, { limits: { maxChunkTokens: 4 } });
    expect(await found).toEqual(await collectAll(alone.engine.submitBeams(search)));
    expect(told).toEqual(['admitted', 'first token', 'ended']);
    expect(under.runner.steps.length).toBeGreaterThan(2 * alone.runner.steps.length);
  });

  test('leaves slots free, and is fair among its tenants', async () => {
    const { engine, runner } = simulate();
    const backlogs = ['one', 'three'].map((tenant, i) => {
      const share = { weight: 1 + 2 * i, queueShare: 1 };
      const requests = numbers(400 * share.weight).map((n) => requestOf(tenant, n, { share, priority: 'background' }));
      return new Backlog(engine, requests);
    });
    const difference = await largestDifference({ engine, runner }, [
      [backlogs[0]!, 1],
      [backlogs[1]!, 3],
    ]);
    expect(difference).toBeLessThanOrEqual(BOUND);
    expect(Math.max(...runner.steps.map(({ rows }) => rows.length))).toBe(SLOTS);
  });

  test('interactive work is not refused because background work waits', async () => {
    const { engine } = makeEngine({ slots: 2 }, { limits: { maxWaitingRequests: 3 } });
    const waiting = numbers(4).map((i) => collect(engine.submit(makeRequest({ priority: 'background', prompt: [i] }))));
    const full = (): unknown => engine.submit(makeRequest({ priority: 'background', maxTokens: 1 }));
    expect(full).toThrow('waiting');
    const live = numbers(5).map((i) => collect(engine.submit(makeRequest({ prompt: [i] }))));
    await Promise.all([...waiting, ...live]);
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
