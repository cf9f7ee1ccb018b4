import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { pickNext, schedule, type Schedulable } from '../../src/engine/scheduler.js';

interface Named extends Schedulable {
  readonly name: string;
}

const one = (name: string, numRemainingTokens: number, numComputedTokens = 0, prefixIndex?: number): Named => ({
  name,
  numRemainingTokens,
  numComputedTokens,
  prefixIndex,
});

function plan(waiting: Named[], running: Named[], freeSlots: number, maxChunkTokens = 8): unknown {
  const { admitted, decode, chunk } = schedule({ waiting, running, freeSlots, maxChunkTokens });
  const names = (sequences: readonly Named[]): string => sequences.map(({ name }) => name).join(' ');
  return {
    admitted: names(admitted),
    decode: names(decode),
    chunk: chunk && `${chunk.sequence.name} ${chunk.numTokens}${chunk.isLast ? ' last' : ''}`,
  };
}

describe('the policy of a step', () => {
  test('without sequences there is nothing to do', () => {
    expect(plan([], [], 4)).toEqual({ admitted: '', decode: '', chunk: undefined });
  });

  test('every sequence with one token left decodes', () => {
    expect(plan([], [one('a', 1, 5), one('b', 1, 9)], 2)).toEqual({ admitted: '', decode: 'a b', chunk: undefined });
  });

  test('a waiting prompt is admitted and its first chunk runs beside the decode rows', () => {
    expect(plan([one('b', 20)], [one('a', 1, 5)], 3)).toEqual({ admitted: 'b', decode: 'a', chunk: 'b 8' });
  });

  test('nobody is admitted without a free slot', () => {
    expect(plan([one('b', 1)], [one('a', 1, 5)], 0)).toEqual({ admitted: '', decode: 'a', chunk: undefined });
  });

  test('the chunk that reaches the end of the prompt is the last', () => {
    expect(plan([], [one('a', 8, 16)], 3)).toMatchObject({ chunk: 'a 8 last' });
    expect(plan([], [one('a', 9, 16)], 3)).toMatchObject({ chunk: 'a 8' });
  });

  test('a last token that a chunk left over decodes', () => {
    expect(plan([], [one('a', 1, 24)], 3)).toMatchObject({ decode: 'a', chunk: undefined });
  });

  test('prompts of one token are admitted as decode rows, as many as there are free slots', () => {
    const waiting = [one('a', 1), one('b', 1), one('c', 1)];
    expect(plan(waiting, [], 2)).toEqual({ admitted: 'a b', decode: 'a b', chunk: undefined });
  });

  test('prompts of one token start beside a prefill', () => {
    expect(plan([one('b', 1)], [one('a', 9, 8)], 2)).toEqual({ admitted: 'b', decode: 'b', chunk: 'a 8' });
  });

  test('one sequence at a time is in prefill, and nobody overtakes one that waits for it', () => {
    expect(plan([one('b', 5), one('c', 1)], [one('a', 9, 8)], 2)).toEqual({ admitted: '', decode: '', chunk: 'a 8' });
    expect(plan([one('b', 5), one('c', 1), one('d', 5)], [], 3)).toEqual({
      admitted: 'b c',
      decode: 'c',
      chunk: 'b 5 last',
    });
  });

  test('a chunk does not go across an infix', () => {
    expect(plan([one('a', 6, 0, 5)], [], 1)).toMatchObject({ chunk: 'a 5' });
    expect(plan([one('a', 20, 0, 19)], [], 1)).toMatchObject({ chunk: 'a 8' });
    expect(plan([], [one('a', 4, 16, 19)], 1)).toMatchObject({ chunk: 'a 3' });
    expect(plan([], [one('a', 1, 19, 19)], 1)).toMatchObject({ decode: 'a', chunk: undefined });
  });

  test('a prefix before the prompt does not shorten a chunk', () => {
    expect(plan([one('a', 6, 0, 0)], [], 1)).toMatchObject({ chunk: 'a 6 last' });
  });

  test('the first to come is next', () => {
    expect(pickNext(['a', 'b'])).toBe('a');
    expect(pickNext<string>([])).toBeUndefined();
  });

  test('admits in order, within the slots, with one prefill; every running sequence gets on', () => {
    const sequence = fc.record({ name: fc.string(), remaining: fc.integer({ min: 1, max: 30 }) });
    const run = fc.property(
      fc.array(sequence),
      fc.integer({ min: 0, max: 6 }),
      fc.integer({ min: 1, max: 9 }),
      (all, free, max) => {
        const waiting = all.map(({ name, remaining }) => one(name, remaining));
        const running = [one('r', 1, 3), one('p', 4, 3)];
        const { admitted, decode, chunk } = schedule({ waiting, running, freeSlots: free, maxChunkTokens: max });
        expect(admitted).toEqual(waiting.slice(0, admitted.length));
        expect(admitted.length).toBeLessThanOrEqual(free);
        expect(admitted.every(({ numRemainingTokens }) => numRemainingTokens === 1)).toBe(true);
        expect(decode).toEqual([running[0], ...admitted]);
        expect(chunk).toMatchObject({ sequence: running[1], numTokens: Math.min(4, max) });
      },
    );
    fc.assert(run);
  });
});
