import { describe, expect, test } from 'vitest';

import type { EngineError } from '../../src/engine/errors.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import { engineMaker, makeRequest } from './harness.js';

const setUp = engineMaker();

/** How many of these an engine at rest takes before it refuses one, all in one turn. */
function countAccepted(submit: () => { cancel(): void }, most: number): number {
  const accepted: { cancel(): void }[] = [];
  try {
    while (accepted.length < most) accepted.push(submit());
  } catch (error) {
    expect((error as EngineError).code).toMatch(/queue_full/);
  }
  for (const generation of accepted) generation.cancel();
  return accepted.length;
}

describe('what fits an engine at rest', () => {
  const limits = { maxWaitingRequests: 4, maxWaitingTokens: 100 };
  const half = { share: { weight: 1, queueShare: 0.5 } };

  test.each<[string, Partial<GenerationRequest>, number]>([
    ['slots and queue', { maxTokens: 1 }, 7],
    ['tokens that may wait', { maxTokens: 17 }, 5],
    ['one that is larger than the queue', { maxTokens: 90 }, 3],
    ['a part of the queue', { maxTokens: 1, ...half }, 3],
    ['a part of the tokens', { maxTokens: 17, ...half }, 3],
    ['what never waits', { maxTokens: 0 }, 20],
    ['what only scores its prompt', { maxTokens: 0, promptLogprobs: 0 }, 7],
    ['background work', { maxTokens: 1, priority: 'background' }, 6],
  ])('is what it accepts: %s', async (_, changes, expected) => {
    const { engine } = setUp({ slots: 3 }, { limits });
    const request = makeRequest({ prompt: [1, 2, 3], ...changes });
    expect(engine.countFitting(Array.from({ length: 20 }, () => request))).toBe(expected);
    expect(countAccepted(() => engine.submit(request), 20)).toBe(expected);
  });

  test('counts a beam search once, with the tokens of all its beams', () => {
    const { engine } = setUp({ slots: 3 }, { limits });
    const { sampling: _, choice: __, stop: ___, ...rest } = makeRequest({ prompt: [1], maxTokens: 7 });
    const request = { ...rest, width: 3, lengthPenalty: 1 };
    const searches = Array.from({ length: 20 }, () => request);
    const expected = countAccepted(() => {
      const [first] = engine.submitBeams(request);
      if (!first) throw new Error('no beam');
      return first;
    }, 20);
    expect(engine.countFitting(searches)).toBe(expected);
    expect(expected).toBe(4);
  });
});
