import { expect, test } from 'vitest';

import { EventStream } from '../../src/engine/output/event-stream.js';
import { OutputText } from '../../src/engine/output/output-text.js';
import type { Priority } from '../../src/engine/priority.js';
import { Sequence } from '../../src/engine/sequence.js';
import { Slots } from '../../src/engine/kv/slots.js';
import { letters, makeRequest } from './harness.js';

/** A sequence of `length` prompt tokens, the first `numComputedTokens` of them computed. */
function makeSequence(length: number, numComputedTokens = 0, priority?: Priority): Sequence {
  const sequence = new Sequence(makeRequest({ prompt: Array<number>(length).fill(1), priority }), {
    seed: 0,
    endTokens: new Set(),
    text: new OutputText(letters, { stop: [] }),
    events: new EventStream(() => undefined),
    submittedAt: 0,
    onEnd: () => undefined,
  });
  sequence.numComputedTokens = numComputedTokens;
  return sequence;
}

function makeRows(slots: Slots, count: number): Sequence[] {
  return Array.from({ length: count }, (_, i) => {
    const sequence = makeSequence(1);
    slots.allocate(sequence);
    while (sequence.numComputedTokens < i + 1) sequence.tokens[++sequence.numComputedTokens] = 1;
    return sequence;
  });
}

test('decode rows fill the slots from 0', () => {
  const slots = new Slots(3);
  expect(makeRows(slots, 3).map(({ slot }) => slot)).toEqual([0, 1, 2]);
  expect(slots.numFree).toBe(0);
  expect(slots.canAllocate(makeSequence(1))).toBe(false);
  expect(() => slots.allocate(makeSequence(1))).toThrow('no slot');
  slots.checkIntegrity();
});

test('the last row moves into a gap, with what it holds', () => {
  const slots = new Slots(4);
  const [first, , third, fourth] = makeRows(slots, 4);
  first!.end('stop');
  expect(slots.settle()).toEqual([{ from: 3, to: 0, length: 4 }]);
  expect([first, third, fourth].map((sequence) => sequence?.slot)).toEqual([undefined, 2, 0]);
  slots.checkIntegrity();
});

test('rows that leave together are not moved', () => {
  const slots = new Slots(4);
  const rows = makeRows(slots, 4);
  for (const i of [1, 3]) rows[i]!.end('length');
  expect(slots.settle()).toEqual([{ from: 2, to: 1, length: 3 }]);
  expect(slots.rows).toEqual([rows[0], rows[2]]);
  slots.checkIntegrity();
});

test('one sequence is in prefill, behind the rows, and gives way to a new row', () => {
  const slots = new Slots(3);
  const prefilling = makeSequence(9, 4);
  slots.allocate(prefilling);
  expect(slots.canAllocate(makeSequence(5))).toBe(false);
  expect(slots.canAllocate(makeSequence(1))).toBe(true);
  expect(slots.allocate(makeSequence(1))).toEqual([{ from: 0, to: 1, length: 4 }]);
  expect(slots.held.map(({ slot }) => slot)).toEqual([0, 1]);
  slots.checkIntegrity();
});

test('after its prefill a sequence becomes the last row, in place when nobody left', () => {
  const slots = new Slots(4);
  const [first] = makeRows(slots, 2);
  const prefilling = makeSequence(9, 4);
  slots.allocate(prefilling);
  expect(slots.settle()).toEqual([]);
  prefilling.numComputedTokens = 8;
  first!.end('stop');
  expect(slots.settle()).toEqual([{ from: 2, to: 0, length: 8 }]);
  expect(slots.rows).toHaveLength(2);
  slots.checkIntegrity();
});

test('a sequence that ends in prefill leaves without a move', () => {
  const slots = new Slots(2);
  const prefilling = makeSequence(9, 4);
  slots.allocate(prefilling);
  prefilling.end('abort');
  expect(slots.settle()).toEqual([]);
  expect(slots.numFree).toBe(2);
});

test('a slot that two believe to hold is found', () => {
  const slots = new Slots(2);
  const [, second] = makeRows(slots, 2);
  second!.slot = 0;
  expect(() => slots.checkIntegrity()).toThrow('row 1');
});

test('slots that a sequence keeps for others are not free until it gives them up', () => {
  const slots = new Slots(4);
  const wide = makeSequence(1);
  wide.numSlots = 3;
  slots.allocate(wide);
  expect(slots.numFree).toBe(1);
  expect(slots.canAllocate(makeSequence(1))).toBe(true);
  const pair = makeSequence(1);
  pair.numSlots = 2;
  expect(slots.canAllocate(pair)).toBe(false);
  makeRows(slots, 1);
  expect(() => slots.allocate(makeSequence(1))).toThrow('no slot');
  wide.numSlots = 1;
  expect(slots.numFree).toBe(2);
  slots.checkIntegrity();
  wide.numSlots = 4;
  expect(() => slots.checkIntegrity()).toThrow('5 slots are held or kept of 4');
});

test('a background prefill pauses in the last slot while an interactive one goes first', () => {
  const slots = new Slots(5);
  makeRows(slots, 2);
  const paused = makeSequence(9, 4, 'background');
  slots.allocate(paused);
  expect(slots.canAllocate(makeSequence(5, 0, 'background'))).toBe(false);
  const first = makeSequence(7, 3);
  expect(slots.allocate(first)).toEqual([{ from: 2, to: 4, length: 4 }]);
  expect(slots.canAllocate(makeSequence(5))).toBe(false);
  expect(slots.allocate(makeSequence(1))).toEqual([{ from: 2, to: 3, length: 3 }]);
  expect(slots.held.map(({ slot }) => slot)).toEqual([0, 1, 2, 4, 3]);
  slots.checkIntegrity();
  first.numComputedTokens = 6;
  expect(slots.settle()).toEqual([]);
  paused.numComputedTokens = 8;
  expect(slots.settle()).toEqual([]);
  expect(slots.rows.slice(3)).toEqual([first, paused]);
  slots.checkIntegrity();
});

test('an interactive prefill does not pause', () => {
  const slots = new Slots(5);
  slots.allocate(makeSequence(9, 4));
  expect(slots.canAllocate(makeSequence(5, 0, 'background'))).toBe(false);
});

test('a slot can be taken back at any time', () => {
  const slots = new Slots(4);
  const [first, , third] = makeRows(slots, 3);
  const prefilling = makeSequence(9, 4, 'background');
  slots.allocate(prefilling);
  expect(slots.release(first!)).toEqual([{ from: 2, to: 0, length: 3 }]);
  expect(slots.release(prefilling)).toEqual([]);
  expect([first!.slot, third!.slot, prefilling.slot, slots.numFree]).toEqual([undefined, 0, undefined, 2]);
  slots.checkIntegrity();
});
