import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { ModelRunner, SourceEncoder, Span } from '../../src/engine/runner.js';
import type { PrefixKv } from '../../src/prefix/kv.js';

/** Virtual tokens at each site, and embeddings before the source; none where left out. */
export interface SiteLengths {
  readonly encoder?: number;
  readonly decoder?: number;
  readonly cross?: number;
  readonly embeddings?: number;
  /** As in `PrefixKv`; 0 unless given. */
  readonly shift?: number;
}

/** A runner with an encoder for at least 40 tokens, 4 slots, 32 positions and 20 tokens, and virtual tokens that fit it. */
export interface SourceRunnerUnderTest {
  readonly runner: ModelRunner;
  makeKv(lengths: SiteLengths, seed: number): PrefixKv;
  dispose?(): void | Promise<void>;
}

/** What every `ModelRunner` with an encoder must do, beside what all must. A fresh runner is made for each test. */
export function describeSources(
  name: string,
  make: () => SourceRunnerUnderTest | Promise<SourceRunnerUnderTest>,
  { tolerance = 1e-3, distinct = 10 * tolerance }: { readonly tolerance?: number; readonly distinct?: number } = {},
): void {
  describe(`${name} keeps the contract of a runner with an encoder`, () => {
    let under: SourceRunnerUnderTest;
    let runner: ModelRunner;
    let sources: SourceEncoder;

    beforeEach(async () => {
      under = await make();
      runner = under.runner;
      if (runner.sources === undefined) throw new Error('a runner without an encoder');
      sources = runner.sources;
    });
    afterEach(() => under.dispose?.());

    /** Tokens that are valid in every vocabulary. */
    const tokens = (length: number, seed: number): number[] =>
      Array.from({ length }, (_, i) => (seed * 7 + i * i * 3 + i * 5) % 20);

    async function encode(slot: number, source: readonly number[], prefix?: PrefixKv, maxTokens = 1000): Promise<void> {
      const encoding = sources.begin(slot, source, prefix);
      while (!(await encoding.advance(maxTokens)));
      encoding.dispose();
    }

    async function logitsOf(...rows: Span[]): Promise<Float32Array[]> {
      const output = await runner.step({ rows, topK: 1 });
      return Array.from({ length: output.rows }, (_, row) => output.logits(row).slice());
    }

    const row = (slot: number, source: number, token: number, past = 0, position = past): Span => {
      return { slot, source, tokens: [token], past, position, logits: 'last', temperature: 1 };
    };

    /** Logits behind one token in slot 0. */
    async function behind(source: number, token = 2): Promise<Float32Array> {
      const [logits] = await logitsOf(row(0, source, token));
      return logits ?? new Float32Array(0);
    }

    function expectClose(actual: Float32Array | undefined, expected: Float32Array | undefined): void {
      expect(actual).toHaveLength(runner.vocabularySize);
      expect(largestDifference(actual, expected)).toBeLessThanOrEqual(tolerance);
    }

    function expectDifferent(actual: Float32Array | undefined, expected: Float32Array | undefined): void {
      expect(largestDifference(actual, expected)).toBeGreaterThan(distinct);
    }

    test('a token sees its source, and every token of it', async () => {
      const source = tokens(9, 1);
      await encode(0, source);
      const whole = await behind(0);
      for (const at of [0, 4, 8]) {
        await encode(
          1,
          source.map((token, i) => (i === at ? (token + 1) % 20 : token)),
        );
        expectDifferent(await behind(1), whole);
      }
      await encode(1, source);
      expectClose(await behind(1), whole);
    });

    test.each([1, 4, 7, 20])('a source in pieces of %i tokens is as one in whole layers', async (maxTokens) => {
      const prefix = under.makeKv({ encoder: 3, cross: 2 }, 1);
      await encode(0, tokens(20, 2), prefix);
      await encode(1, tokens(20, 2), prefix, maxTokens);
      expectClose(await behind(1), await behind(0));
    });

    test('steps and another source may go between the pieces of one', async () => {
      await encode(0, tokens(11, 1));
      const expected = await behind(0);
      await encode(1, tokens(6, 2));
      const other = await behind(1);
      const encodings = [sources.begin(2, tokens(11, 1)), sources.begin(3, tokens(6, 2))];
      const left = new Set(encodings);
      while (left.size > 0) {
        for (const encoding of [...left]) {
          if (await encoding.advance(3)) left.delete(encoding);
          expectClose(await behind(0), expected);
        }
      }
      for (const encoding of encodings) encoding.dispose();
      expectClose(await behind(2), expected);
      expectClose(await behind(3), other);
    });

    test('an encoding that is given up leaves other sources, and its slot takes another', async () => {
      await encode(0, tokens(11, 1));
      const expected = await behind(0);
      const encoding = sources.begin(1, tokens(12, 3));
      await encoding.advance(4);
      encoding.dispose();
      expectClose(await behind(0), expected);
      await encode(1, tokens(11, 1));
      expectClose(await behind(1), expected);
    });

    test('the source of a slot that held a longer one is as new', async () => {
      await encode(0, tokens(5, 1));
      const expected = await behind(0);
      await encode(1, tokens(30, 2), under.makeKv({ encoder: 4, cross: 6 }, 1));
      await encode(1, tokens(5, 1));
      expectClose(await behind(1), expected);
    });

    test('rows of different lengths attend to their own sources, which may be shared and lie anywhere', async () => {
      const lengths = [3, 17, 9];
      for (const [i, source] of [3, 0, 2].entries()) await encode(source, tokens(lengths[i] ?? 0, i + 1));
      for (const assigned of [
        [3, 0, 2],
        [2, 3, 3],
        [3, 3, 3],
        [3, 3, 3, 3],
        [0, 2, 0],
        [2, 2, 0, 3],
      ]) {
        const alone: Float32Array[] = [];
        for (const [slot, source] of assigned.entries()) {
          alone.push((await logitsOf(row(0, source, 4 + slot)))[0] ?? new Float32Array(0));
          alone.push((await logitsOf(row(0, source, 9 - slot, 1)))[0] ?? new Float32Array(0));
        }
        const first = await logitsOf(...assigned.map((source, slot) => row(slot, source, 4 + slot)));
        const second = await logitsOf(...assigned.map((source, slot) => row(slot, source, 9 - slot, 1)));
        assigned.forEach((_, slot) => {
          expectClose(first[slot], alone[2 * slot]);
          expectClose(second[slot], alone[2 * slot + 1]);
        });
      }
    });

    test.each([{ encoder: 3 }, { cross: 2 }, { encoder: 1, cross: 4 }, { encoder: 0, cross: 0 }, { embeddings: 3 }])(
      'virtual tokens before a source, %j, are seen by its tokens only',
      async (lengths) => {
        const source = tokens(8, 1);
        await encode(0, source);
        const plain = await behind(0);
        const isNone = Object.values(lengths).every((length) => length === 0);
        await encode(1, source, under.makeKv(lengths, 1));
        const one = await behind(1);
        await encode(2, source, under.makeKv(lengths, 2));
        const other = await behind(2);
        if (isNone) {
          expectClose(one, plain);
          expectClose(other, plain);
        } else {
          expectDifferent(one, plain);
          expectDifferent(other, one);
        }
        expectClose(await behind(0), plain);
        await encode(3, source, under.makeKv(lengths, 1), 3);
        expectClose(await behind(3), one);
      },
    );

    test('virtual tokens at all three sites together, beside a row without any', async () => {
      const [one, other] = [
        under.makeKv({ encoder: 3, decoder: 5, cross: 2 }, 1),
        under.makeKv({ decoder: 2, cross: 7 }, 2),
      ];
      await encode(2, tokens(9, 1), one);
      await encode(0, tokens(4, 2), other);
      await encode(1, tokens(9, 1));
      const start = async (): Promise<Span[]> => {
        await runner.append(0, 0, one);
        await runner.append(1, 0, other);
        return [row(0, 2, 4, 5, 0), row(1, 0, 4, 2, 0), row(2, 1, 4)];
      };
      const together = await logitsOf(...(await start()));
      const next = await logitsOf(row(0, 2, 7, 6, 1), row(1, 0, 8, 3, 1), row(2, 1, 9, 1));
      for (const [i, span] of (await start()).entries()) {
        if (i < 2) await runner.append(3, 0, i === 0 ? one : other);
        const [alone] = await logitsOf({ ...span, slot: 3 });
        expectClose(together[i], alone);
        const [second] = await logitsOf({
          ...span,
          slot: 3,
          tokens: [7 + i],
          past: span.past + 1,
          position: 1,
        });
        expectClose(next[i], second);
      }
      expectDifferent(together[0], together[2]);
    });

    test('a position that virtual tokens are not counted in is another one than one that they are', async () => {
      await encode(0, tokens(6, 1));
      await runner.append(0, 0, under.makeKv({ decoder: 5 }, 1));
      const [unshifted] = await logitsOf(row(0, 0, 4, 5, 0));
      const [shifted] = await logitsOf(row(0, 0, 4, 5, 5));
      expectDifferent(unshifted, shifted);
    });

    test('a target in a chunk equals the target token by token', async () => {
      await encode(0, tokens(6, 1));
      await encode(1, tokens(9, 2));
      const target = tokens(5, 3);
      const alone: Float32Array[] = [];
      for (const [i, token] of target.entries()) alone.push(...(await logitsOf(row(3, 1, token, i))));
      const chunk: Span = { slot: 2, source: 1, tokens: target, past: 0, logits: 'all', temperature: 1 };
      const both = await logitsOf(row(0, 0, 1), chunk);
      expect(both).toHaveLength(6);
      alone.forEach((logits, i) => expectClose(both[i + 1], logits));
      expectClose(both[0], (await logitsOf(row(0, 0, 1)))[0]);
    });

    test('the longest source is encoded, a longer one is refused, and so are others that cannot be', async () => {
      const { maxTokens } = sources;
      await encode(0, tokens(maxTokens, 1));
      const expected = await behind(0);
      await encode(1, tokens(maxTokens - 3, 1), under.makeKv({ embeddings: 3 }, 1));
      expect(() => sources.begin(1, tokens(maxTokens + 1, 1))).toThrow(RangeError);
      expect(() => sources.begin(1, tokens(maxTokens - 2, 1), under.makeKv({ embeddings: 3 }, 1))).toThrow(RangeError);
      expect(() => sources.begin(1, [])).toThrow(RangeError);
      expect(() => sources.begin(1, [runner.vocabularySize])).toThrow(RangeError);
      expect(() => sources.begin(runner.slots, [1])).toThrow(RangeError);
      await expect(runner.step({ rows: [row(0, runner.slots, 1)], topK: 1 })).rejects.toThrow();
      const { source: _, ...without } = row(0, 0, 1);
      await expect(runner.step({ rows: [without], topK: 1 })).rejects.toThrow();
      expectClose(await behind(0), expected);
    });
  });
}

function largestDifference(a: Float32Array = new Float32Array(0), b: Float32Array = new Float32Array(0)): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] ?? NaN))), 0);
}
