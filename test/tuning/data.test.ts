import fs from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it, vi } from 'vitest';

import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { type DataFormat, readExamples, separatorOf } from '../../src/tuning/data/read-examples.js';
import type { TrainingExample } from '../../src/tuning/data/example.js';
import { tokenExamples } from '../../src/tuning/data/tokens.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { golden } from '../support/goldens.js';

const separator = '<|endoftext|>';

async function read(
  name: string,
  content: unknown,
  format?: DataFormat,
  signal?: AbortSignal,
): Promise<TrainingExample[]> {
  const file = path.join(await temporaryDirectory(), name);
  const raw = typeof content === 'string' || content instanceof Uint8Array;
  await fs.writeFile(file, raw ? content : JSON.stringify(content));
  return readExamples(file, { subject: 'train', format, separator, signal });
}

const triple = (subject: string, property: string, object: string) => ({ subject, property, object });
const entry = (fields: object) => ({
  category: 'Airport',
  modifiedtripleset: [triple('A_1', 'runwayLength', '3 m'), triple('B', 'isIn', 'C')],
  lexicalisations: [
    { comment: 'good', lex: 'The runway is long.' },
    { comment: 'toFix', lex: 'Runway long.' },
  ],
  ...fields,
});

// The strings are those of XiangLi1999/PrefixTuning, data/datasets/language_modeling.py, up to the end token.
describe('data as the paper writes it (A13)', () => {
  it('E2E lines', async () => {
    const [first, second] = await read('train.txt', 'name : Ada | area : north||Ada is north . \r\n\nname : B||B .\n');
    expect(first).toEqual({
      source: ' name : Ada | area : north <|endoftext|>',
      targets: [' Ada is north .  '],
      where: 'train.txt line 1',
    });
    expect(second).toMatchObject({ source: ' name : B <|endoftext|>', targets: [' B . '], where: 'train.txt line 3' });
  });

  it('WebNLG entries: good texts are learned, all are references', async () => {
    const examples = await read('train.json', { entries: [{ 1: entry({}) }, { 2: entry({ category: 'Food' }) }] });
    expect(examples[0]).toEqual({
      source: '  | A_1 : runwayLength : 3 m | B : isIn : C <|endoftext|>',
      targets: [' The runway is long. '],
      references: ['The runway is long.', 'Runway long.'],
      category: 'Airport',
      where: 'train.json entry 1',
    });
    expect(examples[1]).toMatchObject({ category: 'Food', where: 'train.json entry 2' });
  });

  it('DART entries', async () => {
    const tripleset = [
      ['Mars', 'JOINED', '1973'],
      ['[TABLE]', 'Home Town', 'Ark'],
    ];
    const annotations = [{ source: 'x', text: 'Mars joined.' }, { text: 'It is in Ark.' }];
    expect(await read('dart.json', [{ tripleset, annotations, subtree_was_extended: true }])).toEqual([
      {
        source: ' Mars : joined : 1973 | [TABLE] : home town : Ark <|endoftext|>',
        targets: [' Mars joined. ', ' It is in Ark. '],
        where: 'dart.json entry 1',
      },
    ]);
  });

  it('has the ids of the whole string, the separator being one of them', async () => {
    const tokenizer = await loadTokenizer(golden('tiny-a').directory);
    const encode = (text: string): number[] => tokenizer.encode(text);
    const decode = (ids: readonly number[]): string => tokenizer.decode(ids);
    expect(separatorOf({ eosTokenIds: [0] }, decode)).toBe(separator);
    const examples = await read('train.txt', 'name : Ada||Ada is north . ');
    const manifest = { eosTokenIds: [0], shape: { sites: [], width: 64, vocabularySize: 400, contextLength: 160 } };
    const { examples: tokens } = await tokenExamples(examples, {
      encoder: tokenizer,
      manifest,
      length: 5,
      subject: 'data' as const,
    });
    const [example] = tokens;
    expect([...example!.source, ...example!.target]).toEqual(
      encode(' name : Ada <|endoftext|> Ada is north .  <|endoftext|>'),
    );
    expect(example!.source.at(-1)).toBe(0);
  });
});

describe('special tokens before a prompt', () => {
  const manifest = { eosTokenIds: [0], shape: { sites: [], width: 64, vocabularySize: 400, contextLength: 12 } };
  const ids = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));
  const encoder = {
    specialTokensInPrompts: true,
    minTokens: (text: string) => text.length,
    encode: ids,
    encodeSource: (text: string) => [1, ...ids(text)],
  };
  const sourceOf = async (example: TrainingExample): Promise<readonly number[] | undefined> => {
    const options = { encoder, manifest, length: 2, subject: 'data' as const, tooLong: 'cut' as const };
    return (await tokenExamples([example], options)).examples[0]?.source;
  };

  it('are learned from as they are served, and stay where a prompt is cut', async () => {
    expect(await sourceOf({ source: 'ab', targets: ['c'] })).toEqual([1, ...ids('ab')]);
    expect(await sourceOf({ source: 'abcdefghijklm', targets: ['n'] })).toEqual([1, ...ids('fghijklm')]);
  });

  it('are not added to ids, nor to what a chat template wrote', async () => {
    expect(await sourceOf({ source: [5, 6], targets: ['c'] })).toEqual([5, 6]);
    expect(await sourceOf({ source: 'ab', isRendered: true, targets: ['c'] })).toEqual(ids('ab'));
  });
});

it('nothing is put before a target that goes on from its source', async () => {
  const goldens = new URL('../tokenizer/goldens/byte-fallback.json', import.meta.url);
  const { base } = JSON.parse(await fs.readFile(goldens, 'utf8')) as { base: object };
  const encoder = new Tokenizer(base);
  const manifest = { eosTokenIds: [2], shape: { sites: [], width: 64, vocabularySize: 500, contextLength: 60 } };
  const { examples } = await tokenExamples([{ source: 'he', targets: [' ba12'] }], {
    ...{ encoder, manifest, length: 2 },
    subject: 'data',
  });
  const [example] = examples;
  expect([...example!.source, ...example!.target]).toEqual([...encoder.encode('he ba12'), 2]);
});

describe('many examples, and long ones', () => {
  const manifest = { eosTokenIds: [0], shape: { sites: [], width: 64, vocabularySize: 400, contextLength: 160 } };
  const text = (source: string, target: string): TrainingExample => ({ source, targets: [target], where: 'x line 7' });

  it('refuses a text that cannot fit the context before it is encoded', async () => {
    const tokenizer = await loadTokenizer(golden('tiny-a').directory);
    const encode = vi.fn((short: string) => tokenizer.encode(short));
    const encoder = { encode, encodeSource: encode, minTokens: (any: string) => tokenizer.minTokens(any) };
    const long = 'a'.repeat(1e6);
    const least = tokenizer.minTokens(long) + 1 + 5;
    for (const [example, tokens] of [
      [text(long, 'b'), least],
      [text('b', long), least],
    ] as const) {
      await expect(
        tokenExamples([example], { encoder, manifest, length: 5, subject: 'data' as const }),
      ).rejects.toThrow(`x line 7: at least ${tokens} tokens with the 5 virtual ones; the context has 160`);
    }
    expect(encode.mock.calls).toEqual([['b']]);
  });

  it('lets others have turns of the event loop, and stops for the signal', async () => {
    const stop = new AbortController();
    let encoded = 0;
    const encode = (): number[] => {
      for (const begun = performance.now(); performance.now() - begun < 1;);
      return [++encoded % 400];
    };
    const encoder = { minTokens: () => 1, encode, encodeSource: encode };
    setImmediate(() => stop.abort());
    const examples = Array<TrainingExample>(1000).fill(text('a', 'b'));
    const options = { encoder, manifest, length: 5, subject: 'data' as const, signal: stop.signal };
    const aborted = { name: 'AbortError' };
    await expect(tokenExamples(examples, options)).rejects.toMatchObject(aborted);
    expect(encoded).toBeLessThan(2000);
    const line = '{"prompt":"a","completion":"b"}';
    await expect(read('x.jsonl', line, undefined, stop.signal)).rejects.toMatchObject(aborted);
  });
});

describe('the format', () => {
  const line = '{"prompt":"a","completion":[1,2],"category":"c"}';

  it('comes from the name, unless it is given', async () => {
    const jsonl = { source: 'a', targets: [[1, 2]], category: 'c' };
    expect(await read('x.jsonl', line)).toMatchObject([jsonl]);
    expect(await read('x.data', line, 'jsonl')).toMatchObject([jsonl]);
    expect(await read('x.jsonl', 'a||b', 'e2e')).toMatchObject([{ targets: [' b '] }]);
    expect(await read('x.json', ' []')).toEqual([]);
    expect(await read('x.json', '{"entries":[]}')).toEqual([]);
    await expect(read('x.data', line)).rejects.toThrow(
      'x.data: the name tells no format (.jsonl, .txt, .json); give one of jsonl, e2e, webnlg, dart',
    );
  });
});

describe('the encoding', () => {
  it.each([
    ['x.txt', '\uFEFFcafé||b', ' café '],
    ['x.jsonl', '\uFEFF{"prompt":"café","completion":"b"}', 'café'],
    ['x.json', '\uFEFF[{"tripleset":[["café","b","c"]],"annotations":[]}]', ' café : b : c '],
  ])('is UTF-8, with or without a byte order mark: %s', async (name, content, source) => {
    for (const text of [content, content.slice(1)]) {
      const [example] = await read(name, text);
      expect(String(example!.source).replace(separator, '')).toBe(source);
    }
  });

  it.each(['x.txt', 'x.jsonl', 'x.json'])('is refused where it is another: %s', async (name) => {
    const content = Buffer.from('{"prompt":"café","completion":"a||b"}', 'latin1');
    await expect(read(name, content)).rejects.toThrow(`${name}: not UTF-8`);
  });
});

describe('bad data', () => {
  const without = (name: string) => ({ entries: [{ 1: entry({}) }, { 2: entry({ [name]: undefined }) }] });
  const dart = (tripleset: unknown, annotations: unknown = [{ text: 't' }]) => [{ tripleset, annotations }];

  it.each<[string, unknown, string]>([
    [
      'x.jsonl',
      '\n{"prompt":"a"}',
      'x.jsonl line 2: completion is missing: a line has prompt and completion, each a string or',
    ],
    ['x.jsonl', '[1]', 'x.jsonl line 1: not an object'],
    ['x.jsonl', '{"messages":[]}', 'x.jsonl line 1: messages of a chat, instead of prompt and completion'],
    ['x.jsonl', '{"prompt":"a","completion":"b","category":7}', 'x.jsonl line 1: category is not a string'],
    ['x.txt', 'a||b\na|b', 'x.txt line 2: not source||target'],
    ['x.txt', 'a||b||c', 'x.txt line 1: not source||target'],
    ['x.txt', '||b', 'x.txt line 1: source is empty'],
    ['x.txt', 'a|| ', 'x.txt line 1: target is empty'],
    ['x.json', '{', 'x.json: not JSON'],
    ['x.json', { entries: {} }, 'x.json: entries is not an array'],
    ['x.json', { entries: [{}] }, 'x.json entry 1: not an object with one id'],
    ['x.json', without('category'), 'x.json entry 2: category is not a string'],
    ['x.json', without('lexicalisations'), 'x.json entry 2: lexicalisations is not an array'],
    [
      'x.json',
      { entries: [{ 1: entry({ modifiedtripleset: [{ subject: 'a' }] }) }] },
      'x.json entry 1: modifiedtripleset[0].property is not a string',
    ],
    ['x.json', [1], 'x.json entry 1: not an object'],
    ['x.json', dart([['a', 'b']]), 'x.json entry 1: tripleset[0] is not three strings'],
    ['x.json', dart([['a', 'b', 3]]), 'x.json entry 1: tripleset[0][2] is not a string'],
    ['x.json', dart([], [{}]), 'x.json entry 1: annotations[0].text is not a string'],
  ])('%s %s', async (name, content, message) => {
    await expect(read(name, content)).rejects.toThrow(message);
  });

  it('names a file that cannot be read', async () => {
    await expect(readExamples('/no/such.jsonl', { subject: 'train', separator })).rejects.toThrow(
      '/no/such.jsonl: ENOENT',
    );
  });
});
