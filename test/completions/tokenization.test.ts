import { describe, expect, it } from 'vitest';

import { encodeBadWords } from '../../src/completions/plan/bad-words.js';
import { encodePrompts } from '../../src/completions/plan/prompts.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { tinyTokenizerJson } from '../tokenizer/tiny-tokenizer.js';

const load = (model: string) => loadTokenizer(new URL(`../../models/${model}`, import.meta.url).pathname);
const yieldTurn = () => Promise.resolve();

/** Words, numbers, signs and lines, of which no two parts are alike. */
const text = Array.from({ length: 2000 }, (_, i) => `${i % 7 === 0 ? '\n' : ' '}ship${i * 31} it's ${i}, "né"`).join(
  '',
);

describe('the end of a text', () => {
  it('has the last tokens of the whole text', async () => {
    const tokenizer = await load('preamble-demo');
    const whole = tokenizer.encode(text);
    const room = { contextLength: 512, virtualTokens: 10 };
    for (const truncation of [7, -1]) {
      const params = { prompts: [text], maxTokens: 100, tokenization: { truncation } };
      const expected = whole.slice(truncation === -1 ? -402 : -truncation);
      expect(await encodePrompts(params, tokenizer, room, yieldTurn)).toEqual([expected]);
    }
  });

  it('keeps the special tokens around it, which count', async () => {
    const tokenizer = await load('preamble-brief');
    const whole = tokenizer.encode(text);
    const [start = -1, end = -1] = tokenizer.encodeSource('');
    const source = { sourceLength: 128, virtualTokens: 8, startTokens: 1 };
    const read = async (truncation: number, addsSpecialTokens?: boolean) => {
      const params = { prompts: [text], maxTokens: 16, tokenization: { truncation, addsSpecialTokens } };
      return encodePrompts(params, tokenizer, { contextLength: 128, virtualTokens: 0, source }, yieldTurn);
    };
    expect(await read(3)).toEqual([[start, whole.at(-1), end]]);
    expect(await read(2)).toEqual([[start, end]]);
    expect(await read(-1)).toEqual([[start, ...whole.slice(-118), end]]);
    expect(await read(3, false)).toEqual([whole.slice(-3)]);
    const refused = { code: 'invalid_value', param: 'truncate_prompt_tokens' };
    await expect(read(1)).rejects.toMatchObject(refused);
    await expect(read(121)).rejects.toMatchObject(refused);
  });
});

describe('bad words', () => {
  it('are taken as they begin a text, and behind a space where that is another word of as many tokens', async () => {
    const tokenizer = await load('preamble-demo');
    const words = (...ones: string[]) => encodeBadWords(ones, tokenizer);
    expect(words()).toBeUndefined();
    expect(words('s', ' s', '  s')).toEqual([[83], [271]]);
    const weather = tokenizer.encode('weather');
    expect(weather.length).toBeGreaterThan(tokenizer.encode(' weather').length);
    expect(words('weather')).toEqual([weather]);
    expect(() => words(' ')).toThrow(expect.objectContaining({ param: 'bad_words' }));
  });

  it('lose the white space before them as the tokenizer knows it, which is not as JavaScript does', async () => {
    const tokenizer = await load('preamble-demo');
    const words = (word: string) => encodeBadWords([word], tokenizer);
    expect(words('\ufeffs')?.[0]).toEqual(tokenizer.encode('\ufeffs'));
    expect(words('\u0085s')).toEqual(words('s'));
  });
});

describe('special tokens around a prompt', () => {
  const begin = { SpecialToken: { id: '<|endoftext|>', type_id: 0 } };
  const template = {
    type: 'TemplateProcessing',
    single: [begin, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<|endoftext|>': { id: '<|endoftext|>', ids: [0], tokens: ['<|endoftext|>'] } },
  };
  const read = (specialTokensInPrompts: boolean, addsSpecialTokens?: boolean) => {
    const tokenizer = new Tokenizer({ ...tinyTokenizerJson(), post_processor: template }, { specialTokensInPrompts });
    const params = { prompts: ['hello', [5, 6]], maxTokens: 4, tokenization: { addsSpecialTokens } };
    return encodePrompts(params, tokenizer, { contextLength: 32, virtualTokens: 0 }, yieldTurn);
  };
  const hello = new Tokenizer(tinyTokenizerJson()).encode('hello');

  it('are there where the family has them, behind which ids stay as they are', async () => {
    expect(await read(true)).toEqual([
      [0, ...hello],
      [5, 6],
    ]);
    expect(await read(false)).toEqual([hello, [5, 6]]);
  });

  it('are there as a request asks', async () => {
    expect(await read(true, false)).toEqual([hello, [5, 6]]);
    expect((await read(false, true))[0]).toEqual([0, ...hello]);
  });
});
