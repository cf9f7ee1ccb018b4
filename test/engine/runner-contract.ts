import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { ModelRunner, Span, StepInput } from '../../src/engine/runner.js';
import type { PrefixKv } from '../../src/prefix/kv.js';

/** A runner with at least 4 slots, 64 positions and 20 tokens, and virtual tokens that fit it. */
export interface RunnerUnderTest {
  readonly runner: ModelRunner;
  makeKv(length: number, seed: number): PrefixKv;
  dispose?(): void | Promise<void>;
}

export interface RunnerContractOptions {
  /** How far two logits of the same content may differ. */
  readonly tolerance?: number;
  /** How far two of other content must differ: ten times that unless given. */
  readonly distinct?: number;
}

/** What every `ModelRunner` must do. A fresh runner is made for each test. */
export function describeRunner(
  name: string,
  make: () => RunnerUnderTest | Promise<RunnerUnderTest>,
  { tolerance = 1e-3, distinct = 10 * tolerance }: RunnerContractOptions = {},
): void {
  describe(`${name} keeps the contract of a model runner`, () => {
    let under: RunnerUnderTest;
    let runner: ModelRunner;

    beforeEach(async () => {
      under = await make();
      runner = under.runner;
    });
    afterEach(() => under.dispose?.());

    /** Tokens that are valid in every vocabulary. */
    const tokens = (length: number, seed: number): number[] =>
      Array.from({ length }, (_, i) => (seed * 7 + i * i * 3 + i * 5) % 20);

    /** Runs a step and copies its rows of logits, which the next step overwrites. */
    async function logitsOf(...rows: Span[]): Promise<Float32Array[]> {
      const output = await runner.step({ rows, topK: 1 });
      return Array.from({ length: output.rows }, (_, row) => output.logits(row).slice());
    }

    /** Computes a prompt in chunks of `size` and returns the logits of its last token. */
    async function prefill(
      slot: number,
      prompt: readonly number[],
      past = 0,
      wanted = prompt.length,
    ): Promise<Float32Array> {
      const size = Math.min(wanted, runner.maxChunkTokens ?? Infinity);
      let rows: Float32Array[] = [];
      for (let at = 0; at < prompt.length; at += size) {
        const part = prompt.slice(at, at + size);
        const logits = at + size < prompt.length ? 'none' : 'last';
        rows = await logitsOf({ slot, tokens: part, past: past + at, logits, temperature: 1 });
      }
      return first(rows);
    }

    const row = (slot: number, token: number, past: number, temperature = 1): Span => {
      return { slot, tokens: [token], past, logits: 'last', temperature };
    };

    function expectClose(actual: Float32Array, expected: Float32Array): void {
      expect(actual.length).toBe(runner.vocabularySize);
      expect(largestDifference(actual, expected)).toBeLessThanOrEqual(tolerance);
    }

    function expectDifferent(actual: Float32Array, expected: Float32Array): void {
      expect(largestDifference(actual, expected)).toBeGreaterThan(distinct);
    }

    test.each([1, 7])('a prompt in chunks of %i gives the logits of the whole prompt', async (size) => {
      const prompt = tokens(17, 1);
      const whole = await prefill(0, prompt);
      expectClose(await prefill(1, prompt, 0, size), whole);
    });

    test('a decode row gives the logits of a chunk of one token', async () => {
      const prompt = tokens(9, 2);
      const whole = await prefill(1, prompt);
      await prefill(0, prompt.slice(0, -1));
      expectClose(first(await logitsOf(row(0, prompt.at(-1) ?? 0, 8))), whole);
    });

    test('a first token needs no chunk', async () => {
      const whole = await prefill(1, [5]);
      expectClose(first(await logitsOf(row(0, 5, 0))), whole);
    });

    test('each row of a mixed step equals its own step', async () => {
      const prompts = [tokens(3, 1), tokens(12, 2), tokens(7, 3)];
      const alone: Float32Array[] = [];
      for (const prompt of prompts) alone.push(await prefill(3, prompt));
      for (const [slot, prompt] of prompts.entries()) if (slot < 2) await prefill(slot, prompt.slice(0, -1));
      const decode = prompts.slice(0, 2).map((prompt, slot) => row(slot, prompt.at(-1) ?? 0, prompt.length - 1));
      const chunk: Span = { slot: 3, tokens: prompts[2] ?? [], past: 0, logits: 'last', temperature: 1 };
      const mixed = await logitsOf(...decode, chunk);
      expect(mixed).toHaveLength(3);
      mixed.forEach((logits, i) => expectClose(logits, alone[i] ?? new Float32Array(0)));
    });

    test('decode rows of different lengths do not touch each other, step after step', async () => {
      const prompts = [tokens(15, 4), tokens(4, 5), tokens(8, 6)];
      for (const [slot, prompt] of prompts.entries()) await prefill(slot, prompt.slice(0, -3));
      let rows: Float32Array[] = [];
      for (const back of [3, 2, 1]) {
        rows = await logitsOf(...prompts.map((prompt, slot) => row(slot, prompt.at(-back) ?? 0, prompt.length - back)));
      }
      expect(rows).toHaveLength(3);
      for (const [i, logits] of rows.entries()) expectClose(logits, await prefill(3, prompts[i] ?? []));
    });

    /** Prompts in slots 0, 1, ..., each with the tokens that a step is to add to it. */
    interface Added {
      readonly prompt: readonly number[];
      readonly tokens: readonly number[];
      readonly logits?: Span['logits'];
    }

    /** Logits behind each added token, computed one step a token in slot `slot`. */
    async function singly({ prompt, tokens: added }: Added, slot: number): Promise<Float32Array[]> {
      if (prompt.length > 0) await prefill(slot, prompt, 0, 50);
      const rows: Float32Array[] = [];
      for (const [i, token] of added.entries()) rows.push(await prefill(slot, [token], prompt.length + i));
      return rows;
    }

    /** Adds the tokens of several prompts in one step, and checks its logits, and those behind one more token, by single steps. */
    async function expectAsSingly(all: readonly Added[], last?: Span): Promise<void> {
      const next = 3;
      const alone: Float32Array[][] = [];
      for (const { prompt, tokens: added } of all) alone.push(await singly({ prompt, tokens: [...added, next] }, 3));
      const aloneLast = last && (await singly({ prompt: [], tokens: last.tokens }, last.slot));
      for (const [slot, { prompt }] of all.entries()) if (prompt.length > 0) await prefill(slot, prompt);
      const rows = all.map(({ prompt, tokens: added, logits = 'all' }, slot): Span => {
        return { slot, tokens: added, past: prompt.length, logits, temperature: 1 };
      });
      const step = last ? { rows: [...rows, last] } : { rows, isVerifying: true };
      const output = await runner.step({ ...step, topK: 1 });
      const actual = Array.from({ length: output.rows }, (_, row) => output.logits(row).slice());
      const expected = all.flatMap(({ logits = 'all' }, slot) => {
        const each = alone[slot]?.slice(0, -1) ?? [];
        return logits === 'all' ? each : logits === 'last' ? each.slice(-1) : [];
      });
      if (aloneLast) expected.push(...aloneLast);
      expect(actual).toHaveLength(expected.length);
      actual.forEach((logits, i) => expectClose(logits, expected[i] ?? new Float32Array(0)));
      // What the step wrote is what single steps write, and nothing behind it.
      const behind = await logitsOf(
        ...rows.map(({ slot, past, tokens: { length } }) => row(slot, next, past + length)),
      );
      behind.forEach((logits, slot) => expectClose(logits, alone[slot]?.at(-1) ?? new Float32Array(0)));
    }

    test.each([2, 3, 5, 16])('spans of %i tokens in several rows equal single steps', async (length) => {
      const prompts = [tokens(9, 1), tokens(4, 2), tokens(20, 3)];
      await expectAsSingly(prompts.map((prompt, i) => ({ prompt, tokens: tokens(length, 4 + i) })));
    });

    test('spans of different lengths equal single steps, whichever is the longest', async () => {
      for (const lengths of [
        [1, 5, 2],
        [5, 1, 1],
        [3, 4, 1],
        [2, 2, 3],
      ]) {
        const prompts = [tokens(9, 1), tokens(4, 2), tokens(20, 3)];
        await expectAsSingly(prompts.map((prompt, i) => ({ prompt, tokens: tokens(lengths[i] ?? 0, 5 + i) })));
      }
    });

    test('spans without a past, and with one, equal single steps', async () => {
      await expectAsSingly([
        { prompt: [], tokens: tokens(4, 1) },
        { prompt: tokens(7, 2), tokens: tokens(3, 3) },
        { prompt: [], tokens: tokens(2, 4) },
      ]);
    });

    test('spans return the logits that each asks for', async () => {
      await expectAsSingly([
        { prompt: tokens(5, 1), tokens: tokens(4, 1), logits: 'none' },
        { prompt: tokens(7, 2), tokens: tokens(3, 3), logits: 'all' },
        { prompt: tokens(3, 2), tokens: tokens(4, 5), logits: 'last' },
      ]);
    });

    test('spans in several rows go beside a chunk of a prompt, which may be longer than they are', async () => {
      const all = [
        { prompt: tokens(6, 1), tokens: tokens(3, 2) },
        { prompt: tokens(11, 2), tokens: tokens(2, 5) },
      ];
      for (const length of [1, 2, 20]) {
        for (const slot of [2, 3]) {
          await expectAsSingly(all, { slot, tokens: tokens(length, 7), past: 0, logits: 'all', temperature: 1 });
        }
      }
    });

    test('a draft of a row alone equals single steps', async () => {
      for (const length of [2, 4, 16]) await expectAsSingly([{ prompt: tokens(9, 1), tokens: tokens(length, 6) }]);
    });

    test('drafts that a runner has made itself ready for equal single steps', async () => {
      while (!runner.canVerify(2, 4)) await delay(10);
      await expectAsSingly([3, 4].map((length, i) => ({ prompt: tokens(9 + i, 1), tokens: tokens(length, 6 + i) })));
    });

    test('a runner says what it cannot verify, and a row alone needs nothing made ready', () => {
      expect(runner.canVerify(2, runner.maxRowTokens + 1)).toBe(false);
      expect(runner.canVerify(1, 5)).toBe(true);
    });

    test('spans follow each other, as long as the one before or shorter', async () => {
      const prompts = [tokens(6, 4), tokens(10, 5)];
      const added = tokens(9, 6);
      for (const [slot, prompt] of prompts.entries()) await prefill(slot, prompt);
      for (const [from, to] of [
        [0, 3],
        [3, 7],
        [7, 9],
      ] as const) {
        await logitsOf(
          ...prompts.map(({ length }, slot): Span => {
            return { slot, tokens: added.slice(from, to), past: length + from, logits: 'none', temperature: 1 };
          }),
        );
      }
      const rows = await logitsOf(...prompts.map(({ length }, slot) => row(slot, 2, length + added.length)));
      for (const [slot, logits] of rows.entries()) {
        expectClose(logits, await prefill(3, [...(prompts[slot] ?? []), ...added, 2]));
      }
    });

    test('tokens of a span that is taken back are as if they had never been', async () => {
      const prompts = [tokens(6, 4), tokens(10, 5)];
      for (const [slot, prompt] of prompts.entries()) await prefill(slot, prompt);
      const drafts = prompts.map(({ length: past }, slot): Span => {
        return { slot, tokens: tokens(5, 8), past, logits: 'all', temperature: 1 };
      });
      await logitsOf(...drafts);
      const other = tokens(2, 9);
      await logitsOf(...drafts.map((draft, slot): Span => ({ ...draft, tokens: other, past: draft.past + slot })));
      for (const [slot, prompt] of prompts.entries()) {
        const kept = [...prompt, ...tokens(5, 8).slice(0, slot), ...other];
        const expected = await prefill(3, [...kept, 1]);
        expectClose(await prefill(slot, [1], kept.length), expected);
      }
    });

    test('a span reaches the last position of the context, beside a longer one', async () => {
      const { contextLength } = runner;
      const all = [
        { prompt: tokens(contextLength - 2, 1), tokens: [4, 5] },
        { prompt: tokens(3, 2), tokens: tokens(5, 3) },
      ];
      const expected: Float32Array[] = [];
      for (const one of all) expected.push(...(await singly(one, 3)));
      for (const [slot, { prompt }] of all.entries()) await prefill(slot, prompt, 0, 50);
      const actual = await logitsOf(
        ...all.map(({ prompt, tokens: added }, slot): Span => {
          return { slot, tokens: added, past: prompt.length, logits: 'all', temperature: 1 };
        }),
      );
      expect(actual).toHaveLength(7);
      actual.forEach((logits, i) => expectClose(logits, expected[i] ?? new Float32Array(0)));
    });

    test('logits of none, of the last or of all tokens of a chunk', async () => {
      const prompt = tokens(6, 8);
      const chunk = { slot: 2, tokens: prompt, past: 0, temperature: 1 };
      expect(await logitsOf({ ...chunk, logits: 'none' })).toHaveLength(0);
      const all = await logitsOf({ ...chunk, logits: 'all' });
      expect(all).toHaveLength(6);
      for (const [i, logits] of all.entries()) expectClose(await prefill(1, prompt.slice(0, i + 1)), logits);
      expectClose(first(await logitsOf({ ...chunk, logits: 'last' })), all[5] ?? new Float32Array(0));
    });

    test('a chunk without logits beside decode rows returns the rows only', async () => {
      const alone = await prefill(3, tokens(4, 9));
      await prefill(0, tokens(4, 9).slice(0, -1));
      const chunk: Span = { slot: 1, tokens: tokens(5, 2), past: 0, logits: 'none', temperature: 1 };
      const rows = await logitsOf(row(0, tokens(4, 9)[3] ?? 0, 3), chunk);
      expect(rows).toHaveLength(1);
      expectClose(first(rows), alone);
    });

    test('a prefix is seen by every token behind it, and by its own slot only', async () => {
      const prompt = tokens(6, 1);
      const without = await prefill(2, prompt);
      await runner.append(0, 0, under.makeKv(5, 1));
      await runner.append(1, 0, under.makeKv(5, 2));
      const [one, other] = [await prefill(0, prompt, 5), await prefill(1, prompt, 5)];
      expectDifferent(one, without);
      expectDifferent(one, other);
      await runner.append(3, 0, under.makeKv(5, 1));
      expectClose(await prefill(3, prompt, 5, 2), one);
      expectClose(await prefill(2, prompt), without);
    });

    test('an infix is seen from its place on and leaves what stands before it', async () => {
      const prompt = tokens(8, 3);
      const [head, last] = [prompt.slice(0, -1), prompt.at(-1) ?? 0];
      const plain = await prefill(0, prompt);
      await runner.append(0, 7, under.makeKv(4, 1));
      const behind = first(await logitsOf(row(0, last, 11)));
      expectDifferent(behind, plain);
      await prefill(1, head, 0, 3);
      await runner.append(1, 7, under.makeKv(4, 1));
      expectClose(await prefill(1, [last], 11), behind);
      expectClose(await prefill(0, [last], 7), plain);
    });

    test('a slot that held a longer sequence is as new', async () => {
      const prompt = tokens(5, 4);
      const fresh = await prefill(0, prompt);
      await runner.append(1, 0, under.makeKv(10, 3));
      await prefill(1, tokens(30, 5), 10);
      expectClose(await prefill(1, prompt), fresh);
      const [inFirst, inReused] = await logitsOf(row(0, 3, 5), row(1, 3, 5));
      expectClose(inReused ?? new Float32Array(0), inFirst ?? new Float32Array(0));
    });

    test('copySlot copies a sequence over another, longer one and keeps the source', async () => {
      const [prompt, next] = [tokens(9, 6), 4];
      const expected = await prefill(3, [...prompt, next]);
      await prefill(2, prompt);
      await prefill(0, tokens(25, 7));
      await runner.copySlot(2, 0, prompt.length);
      expectClose(first(await logitsOf(row(0, next, prompt.length))), expected);
      expectClose(await prefill(2, [next], prompt.length), expected);
    });

    test('copySlot may leave out positions that both slots have alike', async () => {
      const [prompt, next] = [tokens(9, 6), 4];
      const expected = await prefill(3, [...prompt, next]);
      await prefill(2, prompt);
      await prefill(0, [...prompt.slice(0, 5), ...tokens(20, 7)]);
      await runner.copySlot(2, 0, prompt.length, 5);
      expectClose(first(await logitsOf(row(0, next, prompt.length))), expected);
    });

    test('what readSlot copied out, writeSlot puts into any slot, to the last bit', async () => {
      const [prompt, next] = [tokens(13, 6), 4];
      await runner.append(2, 0, under.makeKv(3, 1));
      await prefill(2, prompt, 3);
      const blocks = [await runner.readSlot(2, 3, 8), await runner.readSlot(2, 11, 5)];
      const expected = await prefill(2, [next], 16);
      await prefill(2, tokens(25, 8)); // the blocks are nobody's slot any more
      await prefill(0, tokens(25, 7));
      await runner.append(0, 0, under.makeKv(3, 1));
      for (const [index, block] of blocks.entries()) await runner.writeSlot(0, 3 + 8 * index, block);
      expect(await prefill(0, [next], 16)).toEqual(expected);
      expect(blocks.map(({ length }) => length)).toEqual([8, 5]);
      expect((blocks[0]?.bytes ?? 0) / 8).toBe((blocks[1]?.bytes ?? 0) / 5);
    });

    test('writeSlot leaves the positions around the block', async () => {
      const prompt = tokens(12, 3);
      const expected = await prefill(1, prompt);
      await prefill(0, tokens(20, 9));
      const other = await runner.readSlot(0, 4, 4);
      const own = await runner.readSlot(1, 4, 4);
      await runner.writeSlot(1, 4, other);
      expectDifferent(await prefill(1, [prompt.at(-1) ?? 0], 11), expected);
      await runner.writeSlot(1, 4, own);
      expectClose(await prefill(1, [prompt.at(-1) ?? 0], 11), expected);
    });

    test('the best logits come in order, equal ones by id', async () => {
      const topK = Math.min(40, runner.vocabularySize);
      await prefill(0, tokens(4, 1));
      const chunk: Span = { slot: 2, tokens: tokens(9, 2), past: 0, logits: 'all', temperature: 1 };
      const output = await runner.step({ rows: [row(0, 1, 4), chunk], topK });
      expect(output.rows).toBe(10);
      expect(output.topIds).toHaveLength(10 * topK);
      for (let r = 0; r < output.rows; r++) {
        const logits = output.logits(r);
        const ids = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b).slice(0, topK);
        expect([...output.topIds.subarray(r * topK, (r + 1) * topK)]).toEqual(ids);
        const best = output.topLogits.subarray(r * topK, (r + 1) * topK);
        ids.forEach((id, i) => expect(best[i]).toBeCloseTo(logits[id] ?? NaN, 4));
      }
    });

    test('the whole vocabulary can be ranked', async () => {
      const output = await runner.step({ rows: [row(0, 1, 0)], topK: runner.vocabularySize });
      expect(new Set(output.topIds).size).toBe(runner.vocabularySize);
    });

    test('lse and temperedLse are the log-sum-exps of their rows', async () => {
      const temperatures = [1, 0.5, 1.7];
      const chunk: Span = { slot: 3, tokens: tokens(4, 2), past: 0, logits: 'last', temperature: 1.7 };
      const output = await runner.step({ rows: [row(0, 1, 0), row(1, 2, 0, 0.5), chunk], topK: 1 });
      for (const [r, temperature] of temperatures.entries()) {
        expect(Math.abs((output.lse[r] ?? NaN) - logSumExp(output.logits(r), 1))).toBeLessThan(1e-3);
        expect(Math.abs((output.temperedLse[r] ?? NaN) - logSumExp(output.logits(r), temperature))).toBeLessThan(1e-3);
      }
    });

    test('the last position of the context can be used, the next one cannot', async () => {
      const { contextLength } = runner;
      const prompt = tokens(contextLength, 1);
      expect(await prefill(0, prompt, 0, 50)).toHaveLength(runner.vocabularySize);
      await expect(runner.step({ rows: [row(0, 1, contextLength)], topK: 1 })).rejects.toThrow();
      await expect(runner.append(0, contextLength - 1, under.makeKv(2, 1))).rejects.toThrow();
    });

    test('refuses what no model can compute, and goes on', async () => {
      const expected = await prefill(0, tokens(3, 1));
      const { slots, vocabularySize } = runner;
      const chunk: Span = { slot: 0, tokens: [1], past: 0, logits: 'last', temperature: 1 };
      const invalid: StepInput[] = [
        { rows: [], topK: 1 },
        { rows: [row(0, vocabularySize, 0)], topK: 1 },
        { rows: [row(0, -1, 0)], topK: 1 },
        { rows: [row(0, 1, -1)], topK: 1 },
        { rows: [row(0, 1, 0)], topK: 0 },
        { rows: [row(0, 1, 0)], topK: vocabularySize + 1 },
        { rows: Array.from({ length: slots + 1 }, (_, slot) => row(slot, 1, 0)), topK: 1 },
        { rows: [row(0, 1, 0), chunk], topK: 1 },
        { rows: [row(1, 1, 0), row(2, 1, 0)], topK: 1 },
        { rows: [{ ...chunk, slot: slots }], topK: 1 },
        { rows: [{ ...chunk, tokens: [] }], topK: 1 },
        { rows: [{ ...chunk, tokens: [] }, row(1, 1, 0)], topK: 1 },
        { rows: [{ ...chunk, tokens: tokens(runner.maxRowTokens + 1, 1) }, row(1, 1, 0)], topK: 1 },
      ];
      for (const input of invalid) await expect(runner.step(input)).rejects.toThrow();
      await expect(runner.copySlot(0, slots, 1)).rejects.toThrow();
      await expect(runner.readSlot(slots, 0, 1)).rejects.toThrow();
      await expect(runner.readSlot(0, runner.contextLength, 1)).rejects.toThrow();
      const block = await runner.readSlot(1, 0, 2);
      await expect(runner.writeSlot(slots, 0, block)).rejects.toThrow();
      await expect(runner.writeSlot(0, runner.contextLength - 1, block)).rejects.toThrow();
      await expect(runner.writeSlot(0, 0, { length: 2, bytes: block.bytes })).rejects.toThrow();
      expectClose(await prefill(0, tokens(3, 1)), expected);
    });
  });
}

function first(rows: readonly Float32Array[]): Float32Array {
  return rows[0] ?? new Float32Array(0);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] ?? NaN))), 0);
}

function logSumExp(logits: Float32Array, temperature: number): number {
  return Math.log(logits.reduce((total, logit) => total + Math.exp(logit / temperature), 0));
}
