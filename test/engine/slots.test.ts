import { expect, test } from 'vitest';

import { EventStream } from '../../src/engine/output/event-stream.js';
import { OutputText } from '../../src/engine/output/output-text.js';
import { Sequence } from '../../src/engine/sequence.js';
import { Slots } from '../../src/engine/kv/slots.js';
import { letters, makeRequest } from './harness.js';

/** A sequence with so many prompt tokens, of which so many are computed. */
function makeSequence(length: number, numComputedTokens = 0): Sequence {
  const sequence = new Sequence(makeRequest({ prompt: Array<number>(length).fill(1) }), {
    seed: 0,
    endTokens: new Set(),
    text: new OutputText(letters, []),
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
  expect(slots.canAllocate(1)).toBe(false);
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
  expect(slots.canAllocate(5)).toBe(false);
  expect(slots.canAllocate(1)).toBe(true);
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
  expect(slots.canAllocate(1)).toBe(true);
  expect(slots.canAllocate(1, 2)).toBe(false);
  makeRows(slots, 1);
  expect(() => slots.allocate(makeSequence(1))).toThrow('no slot');
  wide.numSlots = 1;
  expect(slots.numFree).toBe(2);
  slots.checkIntegrity();
  wide.numSlots = 4;
  expect(() => slots.checkIntegrity()).toThrow('5 slots are held or kept of 4');
});
