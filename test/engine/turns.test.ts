import { setImmediate } from 'node:timers/promises';

import { expect, it } from 'vitest';

import type { GenerationRequest } from '../../src/engine/request.js';
import { engineMaker, makeRequest } from './harness.js';

const make = engineMaker();

/** Turns of the event loop between two steps of 4 rows, at least. */
async function turnsBetweenSteps(sampling: GenerationRequest['sampling']): Promise<number> {
  const { engine, runner } = make();
  let turn = 0;
  const starts: number[] = [];
  runner.beforeStep = ({ rows }) => void (rows.length === 4 && starts.push(turn));
  const promptGroup = Symbol('prompt group');
  const generations = [0, 1, 2, 3].map((choice) => engine.submit(makeRequest({ sampling, choice, promptGroup })));
  const over = new AbortController();
  const counting = (async () => {
    for (; !over.signal.aborted; turn++) await setImmediate();
  })();
  for (const generation of generations) for await (const event of generation) void event;
  over.abort();
  await counting;
  expect(starts.length).toBeGreaterThan(3);
  return Math.min(...starts.slice(1).map((start, i) => start - (starts[i] ?? 0)));
}

it('others get a turn behind each row whose whole vocabulary is read', async () => {
  const greedy = { temperature: 0, topP: 1, topK: 0, seed: undefined };
  const neutral = { bias: new Map(), repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 };
  expect(await turnsBetweenSteps(greedy)).toBeLessThan(4);
  expect(
    await turnsBetweenSteps({ ...greedy, adjustments: { ...neutral, repetitionPenalty: 2 } }),
  ).toBeGreaterThanOrEqual(4);
});
