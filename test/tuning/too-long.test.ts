import { describe, expect, it } from 'vitest';

import type { TokenExample, TrainingExample } from '../../src/tuning/data/example.js';
import { tokenExamples, type TokenOptions } from '../../src/tuning/data/tokens.js';
import { shortened, type TooLong, tooLongWords } from '../../src/tuning/data/too-long.js';
import { type TuningError } from '../../src/tuning/errors.js';

const END = 2;

/** A tokenizer whose tokens are characters, with special tokens 0 and 2 around a source. It keeps what it encoded. */
function characters() {
  const encoded: string[] = [];
  const encode = (text: string): number[] => {
    encoded.push(text);
    return Array.from(text, (character) => character.charCodeAt(0));
  };
  return {
    encoded,
    encode,
    encodeSource: (text: string) => [0, ...encode(text), END],
    minTokens: (text: string) => text.length,
  };
}

const shape = { sites: [], width: 8, vocabularySize: 128, contextLength: 10 };
const decoderOnly = { eosTokenIds: [END], shape };
const encoderDecoder = { eosTokenIds: [END], shape: { ...shape, sourceLength: 6 } };
const generation = { decoderStart: [END], forcedBosTokenId: null };

async function tokens(
  tooLong: TooLong | undefined,
  examples: readonly TrainingExample[],
  options: Partial<TokenOptions> = {},
) {
  const encoder = characters();
  const common = { encoder, manifest: decoderOnly, length: 3, subject: 'train', tooLong } as const;
  return { encoded: encoder.encoded, ...(await tokenExamples(examples, { ...common, ...options })) };
}

const text = (ids: readonly number[]): string => String.fromCharCode(...ids);
/** Sources and targets as texts, without the end token. */
const texts = (examples: readonly TokenExample[]) =>
  examples.map(({ source, target }) => [text(source), text(target.slice(0, -1))]);
const from = (where: string, source: string, ...targets: string[]): TrainingExample => ({ source, targets, where });

// A context of 10, of which 3 virtual tokens: source and target have room for 7.
const EXAMPLES = [
  from('line 1', 'abcd', 'xyz', 'wxyz'),
  from('line 2', 'abcdefghij', 'yz'),
  from('line 3', 'a', 'stuvwxyz'),
];

describe('examples of a decoder-only model that are too long', () => {
  it('end the run, with how many there are and the setting that lets it go on', async () => {
    const refused = tokens('fail', EXAMPLES);
    await expect(refused).rejects.toThrow(
      'line 1: at least 11 tokens with the 3 virtual ones; the context has 10; 3 of 4 examples are too long; tooLong may be skip, which',
    );
    await expect(tokens(undefined, EXAMPLES)).rejects.toThrow('3 of 4 examples are too long');
    const error: unknown = await refused.catch((reason: unknown) => reason);
    expect((error as TuningError).messageAs((subject) => `--${subject}`)).toContain('; --tooLong may be skip, ');
    expect((error as TuningError).messageAs((subject) => `--${subject}`)).toMatch(/^line 1: at least 11/);
  });

  it('are left out under skip, and a text that cannot fit is not encoded', async () => {
    const { examples, counts, encoded } = await tokens('skip', EXAMPLES);
    expect(texts(examples)).toEqual([['abcd', 'xyz']]);
    expect(counts).toEqual({ examples: 4, skipped: 3, cut: 0 });
    expect(encoded).not.toContain('abcdefghij');
    expect(encoded).not.toContain('stuvwxyz');
  });

  it('lose the beginning of the source under cut, or are left out where the target alone does not fit', async () => {
    const { examples, counts } = await tokens('cut', EXAMPLES);
    expect(texts(examples)).toEqual([
      ['abcd', 'xyz'],
      ['bcd', 'wxyz'],
      ['fghij', 'yz'],
    ]);
    expect(examples.every(({ target }) => target.at(-1) === END)).toBe(true);
    expect(counts).toEqual({ examples: 4, skipped: 1, cut: 2 });
  });

  it('keep one token of the source at least, of ids too', async () => {
    const ids = { source: [5, 6, 7], targets: [[1, 1, 1, 1, 1, 1], Array<number>(7).fill(1)] };
    const { examples, counts } = await tokens('cut', [ids]);
    expect(examples).toEqual([{ source: [7], target: [1, 1, 1, 1, 1, 1, END] }]);
    expect(counts).toEqual({ examples: 2, skipped: 1, cut: 1 });
  });

  it('are the same that a text of a thousand times the length would leave, of which little is encoded', async () => {
    const source = `${'abcde '.repeat(5000)}the end`;
    const { examples, encoded } = await tokens('cut', [from('x', source, 'yz')]);
    expect(texts(examples)).toEqual([['e end', 'yz']]);
    expect(Math.max(...encoded.map(({ length }) => length))).toBeLessThan(60);
  });

  it('end the run where none is left, or where another thing is wrong', async () => {
    await expect(tokens('skip', EXAMPLES.slice(1))).rejects.toThrow('train: no example is left: all 2 are too long');
    await expect(tokens('cut', EXAMPLES, { length: 9 })).rejects.toThrow('no example is left: all 4 are too long');
    for (const tooLong of ['skip', 'cut'] as const) {
      await expect(tokens(tooLong, [...EXAMPLES, { source: [999], targets: ['a'] }])).rejects.toThrow('token id 999');
      await expect(tokens(tooLong, [from('line 9', '', 'a')])).rejects.toThrow('line 9: the prompt has no token');
    }
  });

  it('of data that is measured are refused without a setting', async () => {
    const refused = tokens('fail', EXAMPLES, { subject: 'data' });
    await expect(refused).rejects.toThrow(/; 3 of 4 examples are too long$/);
  });
});

describe('examples of an encoder-decoder that are too long', () => {
  const options = { manifest: encoderDecoder, generation };
  const examples = [
    from('line 1', 'abcd', 'x'),
    from('line 2', 'abcdefgh', 'x', 'y'.repeat(10)),
    from('line 3', 'a', 'y'.repeat(10)),
  ];

  it('lose the end of the source under cut, but not the special token behind it', async () => {
    const { examples: kept, counts } = await tokens('cut', examples, options);
    expect(kept.map(({ source }) => [source[0], text(source.slice(1, -1)), source.at(-1)])).toEqual([
      [0, 'abcd', END],
      [0, 'abcd', END],
    ]);
    expect(counts).toEqual({ examples: 4, skipped: 2, cut: 1 });
  });

  it('keep the end token of ids, if there is one', async () => {
    const ids = [
      [0, 3, 4, 5, 6, 7, END],
      [3, 4, 5, 6, 7, 8, 9],
    ].map((source) => ({ source, targets: ['x'] }));
    const { examples: kept } = await tokens('cut', ids, options);
    expect(kept.map(({ source }) => source)).toEqual([
      [0, 3, 4, 5, 6, END],
      [3, 4, 5, 6, 7, 8],
    ]);
  });

  it('are refused or left out otherwise', async () => {
    const message = 'line 2: at least 8 tokens in the prompt; a source may have 6; 3 of 4 examples are too long';
    await expect(tokens('fail', examples, options)).rejects.toThrow(message);
    const { counts } = await tokens('skip', examples, options);
    expect(counts).toEqual({ examples: 4, skipped: 3, cut: 0 });
  });
});

describe('the words for them', () => {
  it.each([
    [{ examples: 20, skipped: 0, cut: 0 }, undefined],
    [{ examples: 20, skipped: 1, cut: 0 }, '1 of 20 examples is too long: 1 left out'],
    [{ examples: 20, skipped: 1, cut: 2 }, '3 of 20 examples are too long: 1 left out, 2 with the source cut'],
  ])('%j', (counts, words) => {
    expect(tooLongWords(counts)).toBe(words);
  });

  it('need only a part of a text', () => {
    const { minTokens } = characters();
    expect(shortened('abcdefgh', 2, 'beginning', { minTokens })).toBe('abcdefgh');
    expect(shortened('abcdefghij', 2, 'beginning', { minTokens })).toBe('fghij');
    expect(shortened('abcdefghij', 2, 'end', { minTokens })).toBe('abcde');
    expect(shortened('abc', -1, 'end', { minTokens })).not.toBe('abc');
  });
});
