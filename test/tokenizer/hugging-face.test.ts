import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { AddedTokens } from '../../src/tokenizer/added-tokens.js';
import { byteOfCharacter } from '../../src/tokenizer/byte-alphabet.js';
import { createNormalizer } from '../../src/tokenizer/normalizer.js';
import { createPreTokenizer } from '../../src/tokenizer/pre-tokenizer.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';

// The goldens are from Hugging Face's tokenizers; `goldens/*.py` make them.

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`goldens/${name}`, import.meta.url), 'utf8'));

describe('every code point is cut and stripped as by Hugging Face', () => {
  const golden = read('unicode.json') as UnicodeGolden;
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  /** Lengths of a text's pieces, in characters. */
  const lengths = (pieces: readonly string[]): string =>
    pieces
      .map((piece) => Array.from(utf8.decode(Uint8Array.from(piece, (unit) => byteOfCharacter.get(unit) ?? 0))).length)
      .join(' ');
  const cutter = (pattern?: string): ((text: string) => string) => {
    const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: pattern === undefined };
    const split = { type: 'Split', pattern: { Regex: pattern ?? '' }, behavior: 'Isolated' };
    const { cut } = createPreTokenizer(
      pattern === undefined ? bytes : { type: 'Sequence', pretokenizers: [split, bytes] },
      true,
    );
    return (text) => lengths(cut(text, true));
  };

  it.each(['bytes', 'newer', 'classes'] as const)('%s', (name) => {
    const { context = '' } = golden[name];
    const cut = cutter(golden.patterns[name]);
    expectOutcomes(golden[name], (character) => cut(context.replaceAll('{}', () => character)));
  });

  it('stripped', () => {
    const strip = createNormalizer({ type: 'Strip' });
    expectOutcomes(golden.stripped, (character) => strip?.(`${character}a${character}`) === 'a');
  });

  it('dropped beside an added token', () => {
    const tokens = new AddedTokens([{ id: 1, content: '<x>', lstrip: true, rstrip: true }]);
    const texts = (character: string): string[] => [`a${character}<x>a`, `a<x>${character}a`];
    expectOutcomes(golden.dropped, (character) =>
      texts(character).every((text) => tokens.split(text).join() === 'a,1,a'),
    );
  });

  it('no part of a word, beside an added token', () => {
    const tokens = new AddedTokens([{ id: 1, content: '<x>', single_word: true }]);
    const texts = (character: string): string[] => [`a${character}<x>`, `<x>${character}a`];
    expectOutcomes(golden.words, (character) => texts(character).every((text) => tokens.split(text).includes(1)));
  });
});

describe('the parts of a tokenizer.json give the ids of Hugging Face', () => {
  const golden = read('parts.json') as PartsGolden;

  it.each([['plain', { change: {}, ids: {} }] as const, ...Object.entries(golden.cases)])(
    '%s',
    (_, { change, ids }) => {
      const tokenizer = new Tokenizer({ ...golden.base, ...change });
      const own = golden.texts.map((text) => ({ text, ids: tokenizer.encode(text).join(' ') }));
      expect(own).toEqual(golden.texts.map((text, i) => ({ text, ids: ids[i] ?? golden.ids[i] })));
      for (const text of golden.texts)
        expect(tokenizer.minTokens(text)).toBeLessThanOrEqual(tokenizer.encode(text).length);
    },
  );
});

interface Runs {
  readonly context?: string;
  readonly outcomes: readonly unknown[];
  /** Alternately the index of an outcome and how many code points have it, in base 36. */
  readonly runs: string;
}

interface UnicodeGolden extends Readonly<
  Record<'bytes' | 'newer' | 'classes' | 'stripped' | 'dropped' | 'words', Runs>
> {
  readonly patterns: Readonly<Partial<Record<string, string>>>;
}

interface PartsGolden {
  readonly base: object;
  readonly texts: readonly string[];
  /** Of each text, without a change. */
  readonly ids: readonly string[];
  /** With what `change` has of a `tokenizer.json`: the ids of those texts, by index, that have others. */
  readonly cases: Readonly<Record<string, { readonly change: object; readonly ids: Readonly<Record<number, string>> }>>;
}

/** Code points that are checked at each end of a run; between, one of so many is. */
const ENDS = 200;
const SAMPLE = 17;

/** Compares the outcomes of code points that are no surrogates: of short runs all. The first few that differ are shown. */
function expectOutcomes({ outcomes, runs }: Runs, own: (character: string) => unknown): void {
  const numbers = runs.split(' ').map((number) => parseInt(number, 36));
  const different: string[] = [];
  let code = 0;
  for (let i = 0; i < numbers.length; i += 2) {
    const length = numbers[i + 1] ?? 0;
    for (let at = 0; at < length; at++) {
      const isChecked = at < ENDS || length - at < ENDS || code % SAMPLE === 0;
      const outcome = isChecked && own(String.fromCodePoint(code));
      if (isChecked && outcome !== outcomes[numbers[i] ?? 0])
        different.push(`U+${code.toString(16)}: ${String(outcome)}`);
      if (++code === 0xd800) code = 0xe000;
    }
  }
  expect(code).toBe(0x110000);
  expect(different.slice(0, 20)).toEqual([]);
}
