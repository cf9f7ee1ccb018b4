import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { admit, pickNext, type Admissible, type Admission } from '../../src/engine/policy/admission.js';
import { schedule, type Schedulable } from '../../src/engine/policy/schedule.js';
import type { Priority } from '../../src/engine/priority.js';

interface Named extends Admissible, Schedulable {
  readonly name: string;
}

const one = (name: string, numRemainingTokens: number, numComputedTokens = 0, prefixIndex?: number): Named => ({
  name,
  priority: 'interactive',
  numPromptTokens: numRemainingTokens + numComputedTokens,
  numRemainingTokens,
  isSourceEncoded: true,
  numComputedTokens,
  numSlots: 1,
  prefixIndex,
  endsWithPrompt: false,
  tenant: 't',
  weight: 1,
  promptGroup: undefined,
  isPromptComputed: false,
  sequenceGroup: [],
});
const served = (): number => 0;
/** Equal sequences that are not the same. */
const copy = (sequence: Named): Named => ({ ...sequence });

const background = (sequence: Named): Named => ({ ...sequence, priority: 'background' });

/** Sequences of one submission with the same prompt. */
const promptGroup = Symbol('prompt group');
const sibling = (sequence: Named, isPromptComputed = false): Named => ({ ...sequence, promptGroup, isPromptComputed });

interface State {
  readonly waiting: readonly Named[];
  readonly running: readonly Named[];
  readonly starting?: readonly Named[];
  readonly freeSlots: number;
  readonly maxChunkTokens: number;
  readonly maxLoneChunkTokens?: number;
  readonly numCached?: () => number;
}

/** Admits, places as the engine does, and plans the step. */
function step({ waiting, running, starting = [], freeSlots, numCached = () => 0, ...limits }: State) {
  const of = (priority: Priority): Named[] => waiting.filter((each) => each.priority === priority);
  const slots = freeSlots + running.reduce((held, { numSlots }) => held + numSlots, 0);
  const { preempted, admitted } = admit<Named, never>({
    waiting: { interactive: of('interactive'), background: of('background') },
    running,
    starting,
    slots,
    freeSlots,
    served,
    findBlocks: ({ numPromptTokens }) => ({ blocks: [], numTokens: Math.min(numCached(), numPromptTokens - 1) }),
  });
  const left = running.filter((each) => !preempted.includes(each));
  return { preempted, admitted, ...schedule([...left, ...admitted.map(place)], { maxSourceTokens: 4, ...limits }) };
}

function place({ sequence, source }: Admission<Named, never>): Named {
  const computed =
    source.from === 'none' ? 0 : source.from === 'cache' ? source.numTokens : sequence.numPromptTokens - 1;
  return { ...sequence, numComputedTokens: computed, numRemainingTokens: sequence.numRemainingTokens - computed };
}

const names = (sequences: readonly Named[]): string => sequences.map(({ name }) => name).join(' ');

function plan(waiting: Named[], running: Named[], freeSlots: number, maxChunkTokens = 8, numCached = () => 0): unknown {
  const { preempted, admitted, decode, chunk } = step({ waiting, running, freeSlots, maxChunkTokens, numCached });
  return {
    admitted: names(admitted.map(({ sequence }) => sequence)),
    decode: names(decode),
    chunk: chunk && `${chunk.sequence.name} ${chunk.numTokens}${chunk.isLast ? ' last' : ''}`,
    ...(preempted.length > 0 && { preempted: names(preempted) }),
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

  test('a chunk may be longer in a step that keeps no decode row waiting', () => {
    const chunkOf = (running: Named[]): number | undefined =>
      schedule(running, { maxChunkTokens: 8, maxLoneChunkTokens: 12, maxSourceTokens: 4 }).chunk?.numTokens;
    expect(chunkOf([one('a', 20)])).toBe(12);
    expect(chunkOf([one('a', 20), one('b', 1, 5)])).toBe(8);
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

  test('those whose group keeps a slot for them start first, take no free one, and wait for a prefill like others', () => {
    const admittedOf = (state: Partial<State>): string => {
      const { admitted } = step({ waiting: [], running: [], freeSlots: 0, maxChunkTokens: 8, ...state });
      return names(admitted.map(({ sequence }) => sequence));
    };
    const first = { ...one('a', 1, 5), numSlots: 3 };
    const starting = [one('b', 6), one('c', 6)];
    expect(admittedOf({ running: [first], starting })).toBe('b');
    expect(admittedOf({ running: [first, one('x', 9, 8)], starting })).toBe('');
    expect(admittedOf({ running: [first], starting, waiting: [one('d', 1)], freeSlots: 1 })).toBe('b');
    const short = [one('b', 1), one('c', 1)];
    expect(admittedOf({ running: [first], starting: short, waiting: [one('d', 1)], freeSlots: 1 })).toBe('b c d');
  });

  test('those of a group that is preempted do not start', () => {
    const first = background({ ...one('a', 1, 5), numSlots: 2 });
    const member = background(one('b', 6));
    const running = [{ ...first, sequenceGroup: [first, member] }];
    const { preempted, admitted } = step({
      waiting: [one('i', 4)],
      running,
      starting: [member],
      freeSlots: 0,
      maxChunkTokens: 8,
    });
    expect(names(preempted)).toBe('a');
    expect(names(admitted.map(({ sequence }) => sequence))).toBe('i');
  });

  test('siblings of a computed prompt decode, whoever is in prefill and however far the sibling is', () => {
    const source = sibling(one('a', 1, 9), true);
    const waiting = [sibling(one('b', 5)), sibling(one('c', 5)), one('d', 5), sibling(one('e', 5))];
    expect(plan(waiting, [source], 9)).toEqual({ admitted: 'b c d e', decode: 'a b c e', chunk: 'd 5 last' });
    expect(plan(waiting, [source, one('x', 9, 8)], 9)).toEqual({ admitted: 'b c', decode: 'a b c', chunk: 'x 8' });
    expect(plan(waiting, [source], 1)).toEqual({ admitted: 'b', decode: 'a b', chunk: undefined });
  });

  test('a sibling waits for the one in prefill', () => {
    expect(plan([sibling(one('a', 5)), sibling(one('b', 5))], [], 9)).toEqual({
      admitted: 'a',
      decode: '',
      chunk: 'a 5 last',
    });
    expect(plan([sibling(one('b', 5)), one('c', 1)], [sibling(one('a', 9, 8))], 9)).toMatchObject({ admitted: '' });
  });

  test('without a computed sibling a prompt is computed', () => {
    const other = { ...sibling(one('x', 1, 9), true), promptGroup: Symbol('others') };
    expect(plan([sibling(one('b', 5))], [other, one('y', 1, 9)], 9)).toMatchObject({
      decode: 'x y',
      chunk: 'b 5 last',
    });
  });

  test('one that needs several slots is admitted when it can have them all, and nobody overtakes it', () => {
    const wide = { ...one('w', 1), numSlots: 3 };
    expect(plan([wide, one('b', 1)], [one('a', 1, 5)], 2)).toMatchObject({ admitted: '', decode: 'a' });
    expect(plan([wide, one('b', 1)], [], 3)).toMatchObject({ admitted: 'w', decode: 'w' });
    expect(plan([one('b', 1), wide, one('c', 1), one('d', 1)], [], 5)).toMatchObject({ admitted: 'b w c' });
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

  test('the tenant that was served least is next, and of its own the first to come', () => {
    const waiting = [
      { tenant: 'a', name: 'a1' },
      { tenant: 'b', name: 'b1' },
      { tenant: 'b', name: 'b2' },
    ];
    const pick = (counters: Record<string, number>): string | undefined =>
      pickNext(waiting, (tenant) => counters[tenant] ?? 0)?.name;
    expect(pick({})).toBe('a1');
    expect(pick({ a: 1 })).toBe('b1');
    expect(pick({ a: 1, b: 1 })).toBe('a1');
    expect(pick({ a: 1, b: 2 })).toBe('a1');
    expect(pickNext<Named>([], served)).toBeUndefined();
  });

  test('an admission counts at once: tenants take turns, by weight', () => {
    const of = (tenant: string, weight = 1): Named => ({ ...one(tenant, 1), tenant, weight });
    const backlog = (...sequences: Named[]): Named[] => sequences.flatMap((sequence) => Array<Named>(6).fill(sequence));
    expect(plan(backlog(of('a'), of('b')).map(copy), [], 6)).toMatchObject({ admitted: 'a b a b a b' });
    expect(plan(backlog(of('a'), of('b', 2)).map(copy), [], 6)).toMatchObject({ admitted: 'a b b a b b' });
  });

  test('a prompt that the prompt cache has up to its last token is a decode row; of others the rest is computed', () => {
    const waiting = [one('a', 17), one('b', 17)];
    expect(plan(waiting, [], 3, 8, () => 16)).toEqual({ admitted: 'a b', decode: 'a b', chunk: undefined });
    expect(plan(waiting, [], 3, 8, () => 12)).toEqual({ admitted: 'a', decode: '', chunk: 'a 5 last' });
    // Once it runs, what was cached is computed.
    expect(plan([], [one('a', 9, 8)], 3, 8, () => 8)).toMatchObject({ chunk: 'a 8' });
  });

  test('a chunk behind what is cached goes to the infix', () => {
    const infix = one('a', 20, 0, 19);
    expect(plan([infix], [], 1, 64, () => 16)).toMatchObject({ chunk: 'a 3' });
  });

  test('a tenant is charged for what is computed', () => {
    const waiting = [
      { ...one('a1', 41), tenant: 'a' },
      { ...one('b1', 1), tenant: 'b' },
      { ...one('a2', 41), tenant: 'a' },
      { ...one('b2', 1), tenant: 'b' },
    ];
    expect(plan(waiting, [], 3)).toMatchObject({ admitted: 'a1 b1 b2' });
    expect(plan(waiting, [], 3, 8, () => 40)).toMatchObject({ admitted: 'a1 b1 a2' });
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
        const state = { waiting, running, freeSlots: free, maxChunkTokens: max };
        const { admitted: admissions, decode, chunk } = step(state);
        const admitted = admissions.map(({ sequence }) => sequence);
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

describe('background work', () => {
  test('is admitted when nothing interactive is left waiting, and leaves slots free beside it', () => {
    const [b, c] = [background(one('b', 1)), background(one('c', 1))];
    expect(plan([b, c, one('a', 1)], [], 4)).toMatchObject({ admitted: 'a b c' });
    expect(plan([b, one('a', 5)], [one('x', 9, 8)], 4)).toMatchObject({ admitted: '' });
    expect(plan([b, c], [one('x', 1, 5)], 2)).toMatchObject({ admitted: 'b' });
    const many = Array.from({ length: 32 }, (_, i) => background(one(`b${i}`, 1)));
    const admittedBeside = (running: Named[]): unknown[] => [
      ...step({ waiting: many, running, freeSlots: 32 - running.length, maxChunkTokens: 8 }).admitted,
    ];
    expect(admittedBeside([one('x', 1, 5)])).toHaveLength(27);
    expect(admittedBeside([background(one('x', 1, 5))])).toHaveLength(31);
    expect(admittedBeside([])).toHaveLength(32);
  });

  test('gets on by itself in all slots, also where one needs all of them', () => {
    expect(plan([background(one('b', 1))], [], 1)).toMatchObject({ admitted: 'b' });
    expect(plan([background({ ...one('b', 1), numSlots: 4 })], [], 4)).toMatchObject({ admitted: 'b' });
    expect(plan([background({ ...one('b', 1), numSlots: 4 })], [one('a', 1, 5)], 4)).toMatchObject({ admitted: '' });
  });

  test('is overtaken where it needs more slots than interactive work leaves to all of its class', () => {
    const wide = background({ ...one('w', 1), numSlots: 3 });
    const narrow = background(one('b', 1));
    expect(plan([wide, narrow], [one('x', 1, 5)], 3)).toMatchObject({ admitted: 'b' });
    expect(plan([wide, narrow], [one('x', 1, 5), background(one('c', 1, 5))], 2)).toMatchObject({ admitted: 'b' });
    // It can start when background work ends: the others wait behind it.
    expect(plan([wide, narrow], [one('x', 1, 5), background(one('c', 1, 5))], 3)).toMatchObject({ admitted: '' });
    expect(plan([wide, narrow], [background({ ...one('c', 1, 5), numSlots: 2 })], 2)).toMatchObject({ admitted: '' });
    expect(plan([wide, narrow], [one('x', 1, 5)], 4)).toMatchObject({ admitted: 'w' });
  });

  test('gives up its slots, the least computed first, as many as are needed and no more', () => {
    const running = [background(one('b', 1, 9)), background(one('c', 1, 5)), one('x', 1, 2)];
    expect(plan([one('a', 1)], running, 1)).toMatchObject({ admitted: 'a' });
    expect(plan([one('a', 1)], running, 0)).toEqual({
      admitted: 'a',
      decode: 'b x a',
      chunk: undefined,
      preempted: 'c',
    });
    expect(plan([{ ...one('w', 1), numSlots: 2 }], running, 0)).toMatchObject({ admitted: 'w', preempted: 'c b' });
    expect(plan([{ ...one('w', 1), numSlots: 3 }], running, 0)).toEqual({
      admitted: '',
      decode: 'b c x',
      chunk: undefined,
    });
    expect(plan([background(one('a', 1))], running, 0)).toMatchObject({ admitted: '' });
  });

  test('is preempted with its whole group', () => {
    const group = [background(one('b', 1, 9)), background(one('c', 1, 9))];
    const running = group.map((each): Named => ({ ...each, sequenceGroup: [] }));
    for (const each of running) (each.sequenceGroup as Named[]).push(...running);
    expect(plan([one('a', 1)], running, 0)).toMatchObject({ admitted: 'a', preempted: 'b c' });
  });

  test('pauses its prefill for an interactive one, which starts at once', () => {
    const paused = background(one('b', 20, 8));
    expect(plan([one('a', 9)], [paused], 3)).toEqual({ admitted: 'a', decode: '', chunk: 'a 8' });
    expect(plan([background(one('a', 9))], [paused], 3)).toMatchObject({ admitted: '', chunk: 'b 8' });
    expect(plan([], [one('a', 5, 4), paused], 3)).toMatchObject({ chunk: 'a 5 last' });
    expect(plan([background(one('c', 9))], [one('a', 5, 4)], 3)).toMatchObject({ admitted: '' });
  });

  test('does not make the chunks of an interactive prompt shorter; its own are, by all rows', () => {
    const limits = { maxChunkTokens: 8, maxLoneChunkTokens: 12, maxSourceTokens: 4 };
    const row = background(one('b', 1, 5));
    expect(schedule([row, one('a', 20)], limits).chunk?.numTokens).toBe(12);
    expect(schedule([row, background(one('c', 20))], limits).chunk?.numTokens).toBe(8);
    expect(schedule([one('a', 1, 5), background(one('c', 20))], limits).chunk?.numTokens).toBe(8);
  });

  test('shares a prompt within its class only', () => {
    const source = background(sibling(one('b', 1, 9), true));
    expect(plan([sibling(one('a', 9))], [source], 3)).toMatchObject({ chunk: 'a 8' });
    expect(plan([background(sibling(one('a', 9)))], [source], 3)).toMatchObject({ decode: 'b a' });
  });
});

describe('a source', () => {
  const unencoded = (sequence: Named): Named => ({ ...sequence, isSourceEncoded: false });
  const limits = { maxChunkTokens: 8, maxLoneChunkTokens: 12, maxSourceTokens: 4 };
  const pieceOf = (running: readonly Named[]) => {
    const { decode, chunk, piece } = schedule(running, limits);
    return { rows: decode.length, chunk, piece: piece && [piece.sequence.name, piece.maxTokens] };
  };

  test('is encoded in short pieces beside decode rows that wait for it, else layer by layer', () => {
    const source = unencoded(one('a', 21));
    expect(pieceOf([source])).toEqual({ rows: 0, chunk: undefined, piece: ['a', undefined] });
    expect(pieceOf([one('b', 1, 5), source])).toEqual({ rows: 1, chunk: undefined, piece: ['a', 4] });
    expect(pieceOf([background(one('b', 1, 5)), source])).toMatchObject({ rows: 1, piece: ['a', undefined] });
  });

  test('goes before its chunk, and before a prefill of background work', () => {
    expect(pieceOf([unencoded(one('a', 21)), background(one('b', 9))])).toMatchObject({ piece: ['a', undefined] });
    expect(pieceOf([background(unencoded(one('b', 9))), one('a', 21)])).toMatchObject({
      chunk: { numTokens: 12 },
      piece: undefined,
    });
  });
});
