import { setImmediate } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';

import { EngineError } from '../../src/engine/errors.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import { FakeRunner, makeFakeKv, rowOf } from './fake-runner.js';
import { codeOf, collect, engineMaker, makeRequest, runAlone, sampled, textOf } from './harness.js';

const setUp = engineMaker();

/** Greedy tokens, computed one by one without the engine. */
async function greedyReference({ prompt, prefix, maxTokens }: GenerationRequest): Promise<number[]> {
  const runner = new FakeRunner();
  const tokens = [...prompt];
  const prefixIndex = prefix?.placement === 'infix' ? prompt.length - 1 : 0;
  let past = 0;
  for (let i = 0; tokens.length < prompt.length + maxTokens; i++) {
    if (prefix && i === prefixIndex) {
      await runner.append(0, past, prefix.kv);
      past += prefix.kv.length;
    }
    const { topIds } = await runner.step({
      rows: [rowOf(tokens[i] ?? -1, past++)],
      topK: 1,
    });
    if (i === tokens.length - 1) tokens.push(topIds[0] ?? -1);
  }
  return tokens.slice(prompt.length);
}

/** A gate in front of every step. */
function hold(runner: FakeRunner): () => void {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  runner.beforeStep = () => gate;
  return open;
}

async function failure(generation: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const _ of generation);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('one sequence', () => {
  const prompts = [[5], [5, 6], Array.from({ length: 20 }, (_, i) => i)];
  const placements = [undefined, 'prefix', 'infix'] as const;
  const cases = prompts.flatMap((prompt) => placements.map((placement) => ({ prompt, placement })));

  test.each(cases)('greedy behind $prompt.length tokens, placement $placement', async ({ prompt, placement }) => {
    const prefix = placement && { kv: makeFakeKv(6, 1), placement };
    const request = makeRequest({ prompt, prefix });
    const expected = await greedyReference(request);
    for (const maxChunkTokens of [1, 7, 64]) {
      const { engine } = setUp({}, { limits: { maxChunkTokens } });
      const { ids, text, reason } = await collect(engine.submit(request));
      expect(ids).toEqual(expected);
      expect(text).toBe(textOf(expected));
      expect(reason).toBe('length');
    }
  });

  test('fills the context to its last position', async () => {
    const request = makeRequest({
      prompt: Array<number>(80).fill(1),
      prefix: { kv: makeFakeKv(6, 1), placement: 'prefix' },
      maxTokens: 10,
    });
    expect((await collect(setUp().engine.submit(request))).ids).toHaveLength(10);
  });

  test('max_tokens 0 finishes without a step', async () => {
    const { engine, runner } = setUp();
    expect(await collect(engine.submit(makeRequest({ maxTokens: 0 })))).toMatchObject({
      ids: [],
      text: '',
      reason: 'length',
    });
    expect(runner.steps).toHaveLength(0);
  });

  test('can be iterated once', async () => {
    const generation = setUp().engine.submit(makeRequest());
    await collect(generation);
    await expect(collect(generation)).rejects.toThrow('once');
  });

  test('asks a step for no more logits than it needs', async () => {
    const { engine, runner } = setUp();
    await collect(engine.submit(makeRequest({ maxTokens: 1 })));
    await collect(engine.submit(makeRequest({ maxTokens: 1, logprobs: 5 })));
    await collect(engine.submit(makeRequest({ maxTokens: 1, sampling: sampled(1) })));
    expect(runner.steps.map(({ topK }) => topK)).toEqual([1, 5, 64]);
  });
});

describe('the end of a sequence', () => {
  test('the end token stops it, is reported, and is not in the text', async () => {
    const { ids } = await runAlone(makeRequest());
    const end = ids[3] ?? -1;
    const first = ids.indexOf(end);
    const { engine } = setUp({}, { eosTokenIds: [end] });
    const collected = await collect(engine.submit(makeRequest({ ignoreEos: false })));
    expect(collected).toMatchObject({
      ids: ids.slice(0, first + 1),
      text: textOf(ids.slice(0, first)),
      reason: 'stop',
    });
    expect(collected.tokens.at(-1)?.text).toBe('');
    expect((await collect(engine.submit(makeRequest()))).ids).toEqual(ids);
  });

  test('a stop token id does the same, whether end tokens are ignored or not', async () => {
    const { ids } = await runAlone(makeRequest());
    const stopTokenIds = [ids[2] ?? -1];
    const collected = await collect(setUp().engine.submit(makeRequest({ stopTokenIds })));
    expect(collected.ids).toEqual(ids.slice(0, ids.indexOf(stopTokenIds[0] ?? -1) + 1));
    expect(collected.reason).toBe('stop');
  });

  test.each([0, 1])('before min_tokens no end token is sampled, temperature %i', async (temperature) => {
    const { engine } = setUp();
    const stopTokenIds = Array.from({ length: 100 }, (_, id) => id);
    const sampling = sampled(3, temperature);
    const { ids, reason } = await collect(
      engine.submit(makeRequest({ stopTokenIds, sampling, minTokens: 6, maxTokens: 40 })),
    );
    expect(ids.slice(0, 6).every((id) => id >= 100)).toBe(true);
    expect(ids.slice(6, -1).every((id) => id >= 100)).toBe(true);
    expect(ids.length).toBeGreaterThan(6);
    expect(reason).toBe('stop');
  });

  test('a stop string across tokens ends the text before it', async () => {
    const { ids, text } = await runAlone(makeRequest());
    const stop = text.slice(2, 5);
    const { engine } = setUp();
    const collected = await collect(engine.submit(makeRequest({ stop: ['never', stop] })));
    expect(collected.text).toBe(text.slice(0, text.indexOf(stop)));
    expect(collected.ids).toEqual(ids.slice(0, collected.ids.length));
    expect(collected.reason).toBe('stop');
  });

  test('what may begin a stop string is held back and comes with the finish', async () => {
    const { text } = await runAlone(makeRequest());
    const { engine } = setUp();
    const collected = await collect(engine.submit(makeRequest({ stop: [`${text.slice(-3)}!`] })));
    expect(collected.tokens.map((token) => token.text).join('')).toBe(text.slice(0, -3));
    expect(collected).toMatchObject({ text, reason: 'length' });
  });

  test('stop strings are not looked for before min_tokens', async () => {
    const { text } = await runAlone(makeRequest());
    const { engine } = setUp();
    const stop = [text.slice(0, 2)];
    expect((await collect(engine.submit(makeRequest({ stop })))).text).toBe('');
    expect((await collect(engine.submit(makeRequest({ stop, minTokens: 5 })))).text.length).toBeGreaterThan(5);
  });
});

describe('log-probabilities', () => {
  test('are the model’s own, whatever is sampled', async () => {
    const { engine } = setUp();
    const request = makeRequest({ logprobs: 3, sampling: { temperature: 1.7, topK: 5, topP: 0.9, seed: 4 } });
    const { tokens } = await collect(engine.submit(request));
    const runner = new FakeRunner();
    await runner.step({
      rows: [{ slot: 0, tokens: [1, 2], past: 0, logits: 'none', temperature: 1 }],
      topK: 1,
    });
    const { topIds, topLogits, lse, logits } = await runner.step({
      rows: [rowOf(3, 2)],
      topK: 3,
    });
    const expected = [...topIds].map((id, i) => ({ id, logprob: (topLogits[i] ?? NaN) - (lse[0] ?? NaN) }));
    expect(tokens[0]?.top).toEqual(expected);
    expect(tokens[0]?.logprob).toBe((logits(0)[tokens[0]?.id ?? -1] ?? NaN) - (lse[0] ?? NaN));
  });

  test('0 asks for the chosen token’s only, undefined for none', async () => {
    const { engine } = setUp();
    const [chosen, none] = await Promise.all(
      [0, undefined].map((logprobs) => collect(engine.submit(makeRequest({ logprobs })))),
    );
    expect(chosen?.tokens[0]).toMatchObject({ top: [], logprob: expect.any(Number) as number });
    expect(none?.tokens[0]).not.toHaveProperty('logprob');
  });
});

describe('random draws', () => {
  test('with a seed are the same in any company, and differ by choice', async () => {
    const requests = [0, 1, 2, 3].map((choice) => makeRequest({ sampling: sampled(7), choice, maxTokens: 12 }));
    const { engine } = setUp();
    const together = await Promise.all(requests.map((request) => collect(engine.submit(request))));
    const alone = await Promise.all(requests.map(runAlone));
    expect(together.map(({ ids }) => ids)).toEqual(alone.map(({ ids }) => ids));
    expect(new Set(together.map(({ ids }) => ids.join())).size).toBe(4);
  });

  test('without a seed differ from request to request', async () => {
    const request = makeRequest({ sampling: sampled(undefined), maxTokens: 20 });
    expect((await runAlone(request)).ids).not.toEqual((await runAlone(request)).ids);
  });
});

describe('many sequences', () => {
  /** Numbers that the seed alone decides. */
  function makeRandom(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }

  function randomRequest(random: (below: number) => number, choice: number): GenerationRequest {
    const placement = ([undefined, 'prefix', 'infix'] as const)[random(3)];
    const prompt = Array.from({ length: 1 + (random(3) && random(30)) }, () => random(150));
    return makeRequest({
      prompt,
      prefix: placement && { kv: makeFakeKv(1 + random(9), random(5)), placement },
      sampling: { temperature: random(2) * 0.9, topK: random(2) * 20, topP: 1 - random(2) * 0.2, seed: 11 },
      choice,
      maxTokens: random(20),
      minTokens: random(4),
      stop: random(2) ? ['a', 'bc'] : [],
      stopTokenIds: [random(150)],
      ignoreEos: random(2) === 0,
      logprobs: random(2) ? 2 : undefined,
    });
  }

  test.each([
    [1, 'one class'],
    [2, 'one class'],
    [5, 'one class'],
    [1, 'two classes'],
    [2, 'two classes'],
    [5, 'two classes'],
  ])('come and go at any time, and each is as it is alone (%i slots, %s of work)', async (slots, classes) => {
    const random = makeRandom(slots);
    const randomClass = makeRandom(9);
    const { engine } = setUp({ slots }, { limits: { maxChunkTokens: 5 } });
    const runs = [];
    let siblings: GenerationRequest | undefined;
    for (let i = 0; i < 150; i++) {
      if (!siblings || random(2)) siblings = { ...randomRequest(random, i), promptGroup: Symbol('prompt group') };
      const priority = classes === 'two classes' && randomClass(2) ? 'background' : 'interactive';
      const request: GenerationRequest = { ...siblings, choice: i, priority };
      const generation = engine.submit(request);
      const leaveAfter = random(4) === 0 ? 1 + random(6) : Infinity;
      runs.push({ request, leaveAfter, collected: collect(generation, leaveAfter), isCancelled: random(8) === 0 });
      if (runs.at(-1)?.isCancelled) {
        for (let wait = random(12); wait > 0; wait--) await setImmediate();
        generation.cancel();
      }
      for (let wait = random(3); wait > 0; wait--) await setImmediate();
      engine.checkIntegrity();
    }
    for (const { request, leaveAfter, collected, isCancelled } of runs) {
      const [actual, alone] = [await collected, await runAlone(request)];
      if (isCancelled || leaveAfter < Infinity) expect(alone.ids.slice(0, actual.ids.length)).toEqual(actual.ids);
      else expect(actual).toEqual(alone);
    }
  });

  test('share steps: decode rows go on beside a prefill', async () => {
    const { engine, runner } = setUp({}, { limits: { maxChunkTokens: 4 } });
    await Promise.all([
      collect(engine.submit(makeRequest({ prompt: [1], maxTokens: 20 }))),
      collect(engine.submit(makeRequest({ prompt: Array<number>(12).fill(2), maxTokens: 2 }))),
    ]);
    expect(runner.steps.map(({ decode, chunk }) => [decode.length, chunk?.tokens.length ?? 0]).slice(0, 5)).toEqual([
      [1, 4],
      [1, 4],
      [1, 4],
      [2, 0],
      [1, 0],
    ]);
  });
});

describe('consumers', () => {
  test('get the tokens of a step while the next one is computed', async () => {
    const { engine, runner } = setUp();
    const step = runner.step.bind(runner);
    const log: string[] = [];
    vi.spyOn(runner, 'step').mockImplementation(async (input) => {
      log.push('step begins');
      await setImmediate();
      log.push('step ends');
      return step(input);
    });
    for await (const { type } of engine.submit(makeRequest({ prompt: [1], maxTokens: 3 }))) log.push(type);
    const middle = ['step begins', 'token', 'step ends'];
    expect(log).toEqual(['step begins', 'step ends', ...middle, ...middle, 'token', 'finish']);
  });

  test('a slow one holds nobody up and loses nothing', async () => {
    const { engine } = setUp();
    const slow = engine.submit(makeRequest({ prompt: [9, 8], maxTokens: 30 }));
    const iterator = slow[Symbol.asyncIterator]();
    const first = await iterator.next();
    expect((await collect(engine.submit(makeRequest({ maxTokens: 60 })))).ids).toHaveLength(60);
    await engine.idle();
    const rest = [first.value?.type === 'token' ? first.value.id : -1];
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      if (next.value.type === 'token') rest.push(next.value.id);
    }
    expect(rest).toEqual((await runAlone(makeRequest({ prompt: [9, 8], maxTokens: 30 }))).ids);
  });

  test('other work of the process gets its turn between steps', async () => {
    const { engine, runner } = setUp();
    const generation = collect(engine.submit(makeRequest({ maxTokens: 50 })));
    await setImmediate();
    await setImmediate();
    expect(runner.steps.length).toBeLessThan(10);
    expect((await generation).ids).toHaveLength(50);
  });
});

describe('cancelling', () => {
  test('a waiting sequence leaves at once', async () => {
    const { engine } = setUp({ slots: 1 });
    const running = collect(engine.submit(makeRequest({ maxTokens: 30 })));
    const waiting = engine.submit(makeRequest());
    await setImmediate();
    await setImmediate();
    expect(engine.stats()).toMatchObject({ waiting: 1, running: 1, waitingTokens: 11 });
    waiting.cancel();
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 1, waitingTokens: 0 });
    expect(await collect(waiting)).toMatchObject({ ids: [], reason: 'abort' });
    expect((await running).reason).toBe('length');
  });

  test('frees the slot by the next step', async () => {
    const { engine, runner } = setUp({ slots: 1 });
    const open = hold(runner);
    const first = engine.submit(makeRequest({ maxTokens: 50 }));
    const second = collect(engine.submit(makeRequest({ maxTokens: 1 })));
    await setImmediate();
    await setImmediate();
    expect(runner.steps).toHaveLength(1);
    first.cancel();
    first.cancel();
    open();
    await second;
    expect(runner.steps).toHaveLength(2);
    expect(await collect(first)).toMatchObject({ ids: [], reason: 'abort' });
  });

  test('a consumer that leaves its loop cancels', async () => {
    const { engine, runner } = setUp();
    await collect(engine.submit(makeRequest({ maxTokens: 80 })), 2);
    await engine.idle();
    expect(runner.steps.length).toBeLessThan(10);
  });

  test('a consumer may leave while it waits for an event', async () => {
    const { engine, runner } = setUp();
    const open = hold(runner);
    const iterator = engine.submit(makeRequest())[Symbol.asyncIterator]();
    const next = iterator.next();
    await iterator.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    open();
  });

  test('after the end changes nothing', async () => {
    const { engine } = setUp();
    const generation = engine.submit(makeRequest());
    await engine.idle();
    generation.cancel();
    expect((await collect(generation)).reason).toBe('length');
  });
});

describe('limits', () => {
  test('refuses what does not fit the context, to the token', () => {
    const { engine } = setUp();
    const prefix = { kv: makeFakeKv(10, 1), placement: 'prefix' } as const;
    expect(codeOf(() => engine.submit(makeRequest({ prefix, maxTokens: 84 })))).toBe('context_length_exceeded');
    expect(codeOf(() => engine.submit(makeRequest({ prefix, maxTokens: 83 })).cancel())).toBeUndefined();
  });

  test.each([[[]], [[-1]], [[150]], [[1.5]], [[NaN]]])('refuses the prompt %j', (prompt) => {
    expect(codeOf(() => setUp().engine.submit(makeRequest({ prompt })))).toBe('invalid_prompt');
  });

  test('the queue is bounded in requests, beyond the free slots', async () => {
    const { engine } = setUp({ slots: 2 }, { limits: { maxWaitingRequests: 1 } });
    const accepted = [1, 2, 3].map(() => collect(engine.submit(makeRequest())));
    expect(codeOf(() => engine.submit(makeRequest()))).toBe('queue_full');
    await Promise.all(accepted);
    expect((await collect(engine.submit(makeRequest()))).reason).toBe('length');
  });

  test('a tenant may fill its part of the queue, and others have room beside it', async () => {
    const { engine } = setUp({ slots: 1 }, { limits: { maxWaitingRequests: 4 } });
    const share = { weight: 1, queueShare: 0.5 };
    const submit = (tenant: string): Promise<unknown> => collect(engine.submit(makeRequest({ tenant, share })));
    const accepted = [submit('runs'), submit('a'), submit('a')];
    expect(codeOf(() => engine.submit(makeRequest({ tenant: 'a', share })))).toBe('tenant_queue_full');
    accepted.push(submit('b'), submit('b'));
    expect(codeOf(() => engine.submit(makeRequest({ tenant: 'c', share })))).toBe('queue_full');
    await Promise.all(accepted);
    await submit('a');
  });

  test('however small its part, a tenant may have one sequence wait', async () => {
    const { engine } = setUp({ slots: 1 }, { limits: { maxWaitingRequests: 4, maxWaitingTokens: 100 } });
    const share = { weight: 1, queueShare: 0.01 };
    const accepted = ['runs', 'a', 'b'].map((tenant) => collect(engine.submit(makeRequest({ tenant, share }))));
    expect(codeOf(() => engine.submit(makeRequest({ tenant: 'a', share })))).toBe('tenant_queue_full');
    await Promise.all(accepted);
  });

  test('the queue is bounded in tokens', async () => {
    const { engine } = setUp({ slots: 1 }, { limits: { maxWaitingTokens: 25 } });
    const accepted = [1, 2].map(() => collect(engine.submit(makeRequest())));
    expect(codeOf(() => engine.submit(makeRequest()))).toBe('queue_full');
    accepted.push(collect(engine.submit(makeRequest({ maxTokens: 0 }))));
    await Promise.all(accepted);
  });
});

describe('draining', () => {
  test('refuses new sequences and waits for the accepted ones', async () => {
    const { engine } = setUp({ slots: 1 });
    const accepted = [1, 2, 3].map(() => collect(engine.submit(makeRequest())));
    const drained = engine.drain();
    expect(codeOf(() => engine.submit(makeRequest()))).toBe('shutting_down');
    await drained;
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 });
    expect((await Promise.all(accepted)).every(({ reason }) => reason === 'length')).toBe(true);
  });

  test('an idle engine is drained at once', async () => {
    await setUp().engine.drain();
  });
});

describe('a runner that fails', () => {
  test('fails what runs, with its error as the cause, and the engine goes on with what waits', async () => {
    const { engine, runner } = setUp({ slots: 2 });
    const cause = new Error('out of memory');
    runner.beforeStep = () => {
      if (runner.steps.length === 4) throw cause;
    };
    const generations = [1, 2, 3].map(() => engine.submit(makeRequest()));
    const [first, second] = await Promise.all(generations.slice(0, 2).map(failure));
    for (const error of [first, second]) {
      expect(error).toBeInstanceOf(EngineError);
      expect(error).toMatchObject({ code: 'runner_failed', message: 'The model failed to compute a step.', cause });
    }
    expect((await collect(generations[2]!)).ids).toEqual((await runAlone(makeRequest())).ids);
    expect(engine.healthy).toBe(true);
  });

  test('gives the tokens from before the failure first', async () => {
    const { engine, runner } = setUp();
    const generation = engine.submit(makeRequest());
    runner.beforeStep = () => {
      if (runner.steps.length === 3) throw new Error('broken');
    };
    await engine.idle();
    const ids: number[] = [];
    const error = await (async () => {
      for await (const event of generation) if (event.type === 'token') ids.push(event.id);
    })().catch((thrown: unknown) => thrown);
    expect(ids).toHaveLength(2);
    expect(error).toBeInstanceOf(EngineError);
  });

  test('again and again is unhealthy, until a step succeeds', async () => {
    const { engine, runner } = setUp();
    runner.append = () => Promise.reject(new Error('broken'));
    const prefix = { kv: makeFakeKv(2, 1), placement: 'prefix' } as const;
    for (const healthy of [true, true, false]) {
      expect(await failure(engine.submit(makeRequest({ prefix })))).toMatchObject({ code: 'runner_failed' });
      expect(engine.healthy).toBe(healthy);
    }
    await collect(engine.submit(makeRequest()));
    expect(engine.healthy).toBe(true);
  });
});
