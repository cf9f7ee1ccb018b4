import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { asLoaded } from '../../src/tokenizer/llama-class.js';
import { MergeTable } from '../../src/tokenizer/merges.js';
import { TextStream } from '../../src/tokenizer/text-stream.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';

/** Ids and texts of Transformers; `goldens/byte_fallback.py` makes them. */
interface Golden {
  readonly base: { readonly model: { readonly vocab: Readonly<Record<string, number>> } };
  readonly texts: readonly string[];
  readonly cases: Readonly<Record<string, Case>>;
}

interface Case {
  /** Of `tokenizer.json`; of its model those fields that differ. */
  readonly change: { readonly model?: object };
  readonly config: object;
  readonly modelType: string;
  /** Of the text "he", with special tokens. */
  readonly source: readonly number[];
  /** Hash of the ids of all code points in one text. */
  readonly every: string;
  /** Ids and decoded text of each text, by index: those that differ from the first case's. */
  readonly rows: Readonly<Record<number, readonly [string, string]>>;
}

const golden = JSON.parse(readFileSync(new URL('goldens/byte-fallback.json', import.meta.url), 'utf8')) as Golden;
const base = golden.base as typeof golden.base & object;
const plain = golden.cases['as the file says'] as Case;
const idOf = (token: string): number => base.model.vocab[token] as number;

function load({ change, config, modelType }: Pick<Case, 'change' | 'config' | 'modelType'>): Tokenizer {
  const json = { ...base, ...change, model: { ...base.model, ...change.model } };
  return new Tokenizer(asLoaded(json, config, modelType), { specialTokensInPrompts: true });
}

describe('a BPE with byte fallback has the ids and texts of Transformers', () => {
  it.each(Object.entries(golden.cases))('%s', (_, test) => {
    const tokenizer = load(test);
    const wanted = golden.texts.map((text, i) => [text, ...(test.rows[i] ?? plain.rows[i] ?? [])]);
    const own = golden.texts.map((text) => {
      const ids = tokenizer.encode(text);
      expect(tokenizer.minTokens(text)).toBeLessThanOrEqual(ids.length);
      return [text, ids.join(' '), tokenizer.decode(ids)];
    });
    expect(own).toEqual(wanted);
    expect(tokenizer.encodeSource('he')).toEqual(test.source);
  });

  it.each(['as the file says', 'LlamaTokenizer', 'spaces only replaced, words cut'])(
    'of every code point: %s',
    (name) => {
      const test = golden.cases[name] as Case;
      const codes = Array.from({ length: 0x110000 }, (_, code) => code).filter(
        (code) => code < 0xd800 || code > 0xdfff,
      );
      const ids = load(test).encode(codes.map((code) => String.fromCodePoint(code)).join(''));
      expect(createHash('sha256').update(ids.join(' ')).digest('hex')).toBe(test.every);
    },
  );
});

const tokenizer = load(plain);
const llama = load(golden.cases['LlamaTokenizer'] as Case);

describe('its text', () => {
  const texts = fc.string({
    unit: fc.constantFrom('he', ' ', '  ', 'ba', '12', '🍕', '漢', '\n', '<s>', 'né', '\u2581'),
  });

  it('is the same decoded token by token and at once, and whole characters only', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const ids = llama.encode(text);
        const stream = llama.textStream();
        const pieces = [...ids.map((id) => stream.push(id)), stream.end()];
        expect(pieces.join('')).toBe(llama.decode(ids));
        expect(pieces.every((piece) => !/[\ufffd\p{Surrogate}]/u.test(piece))).toBe(true);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('keeps its space where it goes on from a prompt, and loses it where it is whole', () => {
    const [he, ba] = ['\u2581he', '\u2581ba'].map(idOf) as [number, number];
    const text = (isWhole: boolean): string => {
      const stream = new TextStream(tokenizer, undefined, isWhole);
      return [he, ba].map((id) => stream.push(id)).join('') + stream.end();
    };
    expect([text(false), text(true)]).toEqual([' he ba', 'he ba']);
    expect(tokenizer.decode([idOf('\u2581'), he])).toBe(' he');
  });

  it('has a replacement character for bytes that are no character', () => {
    const [first, second] = ['<0xE6>', '<0xBC>'].map(idOf) as [number, number];
    expect(tokenizer.decode([idOf('he'), first, second, idOf('ba')])).toBe('he\ufffdba');
    expect(tokenizer.decode([first, second, idOf('<0xA2>')])).toBe('漢');
  });

  it('that goes on from another has nothing put before it', () => {
    for (const one of [tokenizer, llama]) {
      expect([...one.encode('he'), ...one.encodeContinuation(' ba12')]).toEqual(one.encode('he ba12'));
      expect(one.encodeContinuation('ba')).not.toEqual(one.encode('ba'));
      expect(one.encodeContinuation('')).toEqual([]);
    }
  });

  it('names a token by its bytes, and not the token of a byte that has the same', () => {
    expect([idOf('.'), idOf('<0x2E>'), idOf('<0x0A>'), idOf('<0xE6>')].map((id) => tokenizer.isNamesake(id))).toEqual([
      false,
      true,
      false,
      false,
    ]);
    expect([...tokenizer.tokenBytes(idOf('<0xE6>'))]).toEqual([0xe6]);
    expect(new TextDecoder().decode(tokenizer.tokenBytes(idOf('\u2581he')))).toBe(' he');
  });
});

describe('merges', () => {
  /** The best pair and of equal ones the leftmost, until there is none: the definition, in quadratic time. */
  function mergeSlowly(symbols: readonly number[], merges: readonly (readonly [number, number, number])[]): number[] {
    const left = [...symbols];
    for (;;) {
      const ranks = left.slice(1).map((right, i) => merges.findLastIndex(([a, b]) => a === left[i] && b === right));
      const best = Math.min(...ranks.filter((rank) => rank >= 0));
      if (best === Infinity) return left;
      left.splice(ranks.indexOf(best), 2, merges[best]?.[2] ?? -1);
    }
  }

  it('come in the order of their ranks, from the left', () => {
    const id = fc.integer({ min: 0, max: 5 });
    fc.assert(
      fc.property(fc.array(fc.tuple(id, id), { maxLength: 12 }), fc.array(id, { maxLength: 24 }), (pairs, symbols) => {
        const merges = pairs.map(([a, b], i) => [a, b, 6 + i] as const);
        const unique = merges.filter(
          ([a, b], i) => merges.findLastIndex((other) => other[0] === a && other[1] === b) === i,
        );
        expect(new MergeTable(unique).apply([...symbols])).toEqual(mergeSlowly(symbols, unique));
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it('of the tokens of bytes reach across any two characters', () => {
    const { vocab, merges } = base.model as unknown as { vocab: object; merges: readonly (readonly string[])[] };
    const joined = '<0xF0><0x9F>';
    const model = { vocab: { ...vocab, [joined]: 1000 }, merges: [...merges, ['<0xF0>', '<0x9F>']] };
    const one = load({ ...plain, change: { model } });
    expect(one.encode('he🍕')).toEqual([idOf('\u2581he'), 1000, idOf('<0x8D>'), idOf('<0x95>')]);
    expect([one.joinsWords, tokenizer.joinsWords]).toEqual([true, false]);
  });
});

describe('what would be computed wrongly is refused', () => {
  const { '<0x41>': _byte, ...lacking } = base.model.vocab;
  const decoders = (...types: readonly string[]): object => ({
    type: 'Sequence',
    decoders: types.map((type) => ({ type })),
  });
  const metaspace = { type: 'Metaspace', prepend_scheme: 'sometimes' };
  const removed = { type: 'Split', pattern: { String: 'a' }, behavior: 'Removed' };
  it.each<readonly [string, object, RegExp]>([
    [
      'a byte without a token',
      { model: { vocab: lacking, merges: [] } },
      /model\.vocab lacks 1 of the 256 tokens of bytes/,
    ],
    ['no byte fallback', { model: { byte_fallback: false } }, /model\.byte_fallback must be true/],
    ['byte fallback beside byte-level', { decoder: { type: 'ByteLevel' } }, /model\.byte_fallback is true beside/],
    [
      'another decoder',
      { decoder: decoders('Metaspace') },
      /decoder is Metaspace; supported are ByteLevel, and Replace/,
    ],
    [
      'another order',
      { decoder: decoders('ByteFallback', 'Replace', 'Fuse') },
      /decoder is ByteFallback, Replace, Fuse/,
    ],
    [
      'nothing replaced',
      { decoder: decoders('Replace', 'ByteFallback', 'Fuse') },
      /decoder must replace a text by a space/,
    ],
    ['a byte-level pre-tokenizer', { pre_tokenizer: { type: 'ByteLevel' } }, /pre_tokenizer has a ByteLevel/],
    ['another scheme', { pre_tokenizer: metaspace }, /pre_tokenizer\.prepend_scheme is sometimes/],
    [
      'a Metaspace behind what removes text',
      { pre_tokenizer: { type: 'Sequence', pretokenizers: [removed, { type: 'Metaspace' }] } },
      /pre_tokenizer has a Metaspace behind what removes/,
    ],
    [
      'ids that are too large',
      { model: { vocab: { ...base.model.vocab, more: 2 ** 40 } } },
      /model\.vocab has ids beyond/,
    ],
  ])('%s', (_, change, message) => {
    expect(() => load({ ...plain, change })).toThrow(message);
  });
});
