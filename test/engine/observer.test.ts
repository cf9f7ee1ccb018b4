import { expect, test } from 'vitest';

import type { EngineObserver, ObservedEnd, ObservedStep, SequenceObserver } from '../../src/engine/observer.js';
import { collect, makeEngine, makeRequest, runAlone } from './harness.js';
import { OracleDrafts } from './oracle-drafts.js';

/** Writes everything down, seconds aside; those it checks. */
class Notebook implements EngineObserver {
  readonly calls: string[] = [];
  readonly steps: string[] = [];
  readonly lookups: string[] = [];
  readonly ends: Omit<ObservedEnd, 'seconds'>[] = [];

  admitted(seconds: number): void {
    this.#note('admitted', seconds);
  }

  promptLookedUp(tokens: number, cached: number): void {
    this.lookups.push(`${cached} of ${tokens}`);
  }

  stepped({ seconds, kind, rows, chunkTokens }: ObservedStep): void {
    this.#note('step', seconds);
    this.steps.push(`${kind} ${rows}+${chunkTokens}`);
  }

  firstToken(seconds: number | undefined): void {
    this.#note('first', seconds);
  }

  nextToken(seconds: number | undefined): void {
    this.#note('next', seconds);
  }

  verified(drafted: number, accepted: number): void {
    this.calls.push(`verified ${accepted} of ${drafted}`);
  }

  ended({ seconds, ...end }: ObservedEnd): void {
    this.#note('ended', seconds);
    this.ends.push(end);
  }

  #note(call: string, seconds: number | undefined): void {
    if (seconds !== undefined) expect(seconds).toBeGreaterThanOrEqual(0);
    this.calls.push(seconds === undefined ? `${call} (untimed)` : call);
  }
}

test('an observer is told of every step, token and end', async () => {
  const observer = new Notebook();
  const { engine } = makeEngine({ slots: 2 }, { observer });
  await collect(engine.submit(makeRequest({ prompt: [1, 2, 3], maxTokens: 3 })));
  expect(observer.calls.join(' ')).toBe('admitted step first step next step next ended');
  expect(observer.steps).toEqual(['prefill 0+3', 'decode 1+0', 'decode 1+0']);
  expect(observer.ends).toEqual([{ reason: 'length', promptTokens: 3, generatedTokens: 3 }]);
});

test('background work is counted, and not timed', async () => {
  const observer = new Notebook();
  const { engine } = makeEngine({ slots: 2 }, { observer });
  await collect(engine.submit(makeRequest({ maxTokens: 2, priority: 'background' })));
  expect(observer.calls.join(', ')).toBe('step, first (untimed), step, next (untimed), ended (untimed)');
  expect(observer.ends).toEqual([{ reason: 'length', promptTokens: 3, generatedTokens: 2 }]);
});

test('a blend is one sequence to an observer, whatever its rows', async () => {
  const observer = new Notebook();
  const { engine } = makeEngine({ slots: 3 }, { observer });
  const entries = [1, -0.5, 0.5].map((weight) => ({ prefix: undefined, weight }));
  await collect(engine.submitBlend({ ...makeRequest({ prompt: [1, 2, 3], maxTokens: 3 }), entries }));
  expect(observer.calls.join(' ')).toBe('admitted step step step first step next step next ended');
  expect(observer.steps).toEqual(['prefill 0+3', 'mixed 1+3', 'mixed 2+3', 'decode 3+0', 'decode 3+0']);
  expect(observer.ends).toEqual([{ reason: 'length', promptTokens: 3, generatedTokens: 3 }]);
});

test('prompt and decode rows in one step are a mixed one', async () => {
  const observer = new Notebook();
  const { engine } = makeEngine({ slots: 2 }, { observer });
  await Promise.all([1, 2].map(() => collect(engine.submit(makeRequest({ prompt: [1, 2], maxTokens: 2 })))));
  expect(observer.steps).toContain('mixed 1+2');
});

test('each end is told once, with its reason', async () => {
  const observer = new Notebook();
  const { engine, runner } = makeEngine({ slots: 1 }, { observer });
  await collect(engine.submit(makeRequest({ maxTokens: 8 })), 2);
  await engine.idle();
  runner.beforeStep = () => Promise.reject(new Error('broken'));
  await expect(collect(engine.submit(makeRequest()))).rejects.toMatchObject({ code: 'runner_failed' });
  runner.beforeStep = () => undefined;
  await collect(engine.submit(makeRequest({ maxTokens: 0 })));
  await engine.idle();
  expect(observer.ends.map(({ reason }) => reason)).toEqual(['abort', 'error', 'length']);
});

test('the tokens that it is told of are those of the ends, whoever leaves and whenever', async () => {
  const observer = new Notebook();
  const { engine, runner } = makeEngine({ slots: 4 }, { observer });
  for (const changes of [{}, { sampling: { temperature: 1, topP: 1, topK: 50, seed: 1 } }]) {
    const requests = [1, 2, 3, 4].map((prompt) => makeRequest({ prompt: [prompt], maxTokens: 60, ...changes }));
    const generations = requests.map((request) => engine.submit(request));
    const first = runner.steps.length;
    // One leaves while a step computes its next token, another as soon as it has one.
    runner.beforeStep = () => (runner.steps.length > first + 6 ? generations[0]?.cancel() : undefined);
    await Promise.all(generations.map((generation, i) => collect(generation, i === 0 ? 60 : 5 * i)));
    await engine.idle();
    runner.beforeStep = () => undefined;
  }
  const { sampling: _, choice: __, stop: ___, ...rest } = makeRequest({ maxTokens: 5 });
  await Promise.all(engine.submitBeams({ ...rest, width: 3, lengthPenalty: 1 }).map((one) => collect(one)));
  const [left] = engine.submitBeams({ ...rest, maxTokens: 60, width: 3, lengthPenalty: 1 });
  const before = runner.steps.length;
  runner.beforeStep = () => (runner.steps.length > before + 4 ? left?.cancel() : undefined);
  await engine.idle();
  const told = observer.calls.filter((call) => call === 'first' || call === 'next');
  expect(observer.ends.map(({ reason }) => reason)).toContain('abort');
  expect(observer.ends.reduce((total, { generatedTokens }) => total + generatedTokens, 0)).toBe(told.length);
});

test('what the prompt cache was asked for, and had, is told of each prompt that may be in it', async () => {
  const observer = new Notebook();
  const { engine } = makeEngine({ slots: 2 }, { observer, limits: { promptCacheBytes: 1e6 } });
  const prompt = Array.from({ length: 40 }, (_, i) => i);
  for (const changes of [{}, {}, { promptLogprobs: 0 }, { tenant: 'other' }, { prompt: prompt.slice(0, 33) }]) {
    await collect(engine.submit(makeRequest({ prompt, ...changes })));
  }
  expect(observer.lookups).toEqual(['0 of 40', '32 of 40', '0 of 40', '32 of 33']);
});

test('without a prompt cache it is told of no lookup', async () => {
  const observer = new Notebook();
  const { engine } = makeEngine({ slots: 2 }, { observer });
  await collect(engine.submit(makeRequest()));
  expect(observer.lookups).toEqual([]);
});

/** Makes observers of single sequences that write into one notebook each. */
function observers(): { notes: string[][]; observe: () => SequenceObserver } {
  const notes: string[][] = [];
  const observe = (): SequenceObserver => {
    const calls: string[] = [];
    notes.push(calls);
    return {
      admitted: (reused) => calls.push(`admitted with ${reused}`),
      firstToken: (rows) => calls.push(`first of ${rows}`),
      ended: ({ reason, generatedTokens }) => calls.push(`${reason} after ${generatedTokens}`),
    };
  };
  return { notes, observe };
}

test('an observer of one sequence is told of its life alone, and of what its sibling had computed for it', async () => {
  const { notes, observe } = observers();
  const { engine } = makeEngine({ slots: 3 });
  const request = makeRequest({ prompt: [1, 2, 3], maxTokens: 4, promptGroup: Symbol('prompt group'), observe });
  await Promise.all([request, { ...request, choice: 1 }, makeRequest()].map((one) => collect(engine.submit(one))));
  expect(notes).toEqual([
    ['admitted with 0', 'first of 0', 'length after 4'],
    ['admitted with 2', 'first of 2', 'length after 4'],
  ]);
});

test('one that only waits has an end, and one that is refused has no observer', async () => {
  const { notes, observe } = observers();
  const { engine } = makeEngine({ slots: 1 }, { limits: { maxWaitingRequests: 1 } });
  const [running, waiting] = [1, 2].map(() => engine.submit(makeRequest({ observe, maxTokens: 2 })));
  expect(() => engine.submit(makeRequest({ observe }))).toThrow(expect.objectContaining({ code: 'queue_full' }));
  waiting?.cancel();
  await collect(running!);
  expect(notes).toEqual([['admitted with 0', expect.stringMatching(/^first/), 'length after 2'], ['abort after 0']]);
});

test('an observer is told of drafts, and of each token that came with one', async () => {
  const request = makeRequest({ prompt: [1], maxTokens: 7 });
  const { ids } = await runAlone(request);
  const oracle = new OracleDrafts('right', 150, 3);
  oracle.know(request, ids);
  const notebook = new Notebook();
  const { engine } = makeEngine({}, { observer: notebook, drafting: oracle });
  await collect(engine.submit(request));
  expect(notebook.calls.slice(1)).toEqual([
    ...['step', 'first', 'next', 'next', 'next', 'verified 3 of 3'],
    ...['step', 'next', 'next', 'next', 'ended', 'verified 2 of 2'],
  ]);
  expect(notebook.ends).toMatchObject([{ generatedTokens: 7 }]);
});
