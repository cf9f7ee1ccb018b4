import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { byteOfCharacter } from '../../src/tokenizer/byte-alphabet.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { tinyTokenizerJson } from './tiny-tokenizer.js';

const tokenizer = new Tokenizer(tinyTokenizerJson());
const tokens = tokenizer.encode('hello');
/** The byte that a token stands for; -1 for tokens of several. */
const byteOf = (id: number): number => {
  const bytes = tokenizer.tokenBytes(id);
  return bytes.length === 1 ? (bytes[0] as number) : -1;
};

describe('a byte-level tokenizer', () => {
  test('merges, and writes what it read', () => {
    expect(tokens).toHaveLength(1);
    expect(tokenizer.encode('hello world')).toHaveLength(1 + 1 + 4);
    expect(tokenizer.decode(tokenizer.encode('hello world'))).toBe('hello world');
  });

  test('loses bytes that have no token, as SmolLM2 has none for some control characters', () => {
    const { model, ...json } = tinyTokenizerJson();
    const lacking = (bytes: readonly number[], fields: object = {}): Tokenizer => {
      const characters = [...byteOfCharacter]
        .filter(([, byte]) => bytes.includes(byte))
        .map(([character]) => character);
      const vocab = Object.fromEntries(Object.entries(model.vocab).filter(([token]) => !characters.includes(token)));
      return new Tokenizer({ ...json, model: { ...model, vocab, ...fields } });
    };
    const text = '\u0004hello\u0006 \u{50000}';
    const read = lacking([0x04, 0x06, 0xf1]);
    expect(read.encode(text)).toEqual(tokenizer.encode(text).filter((id) => ![0x04, 0x06, 0xf1].includes(byteOf(id))));
    expect(read.minTokens('\u0004'.repeat(100))).toBe(0);
    expect(() => lacking([0x04, 0x41])).toThrow('model.vocab lacks 2 of the 256 single bytes');
    expect(() => lacking([0x04], { unk_token: 'a' })).toThrow('model.unk_token is set');
  });

  test('empty text has no tokens and no tokens have no text', () => {
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
  });

  test('knows the fewest tokens of a text', () => {
    // Of its tokens, the end token has the most bytes: 13.
    expect(['', 'a', 'é'.repeat(7), '<|endoftext|>'.repeat(3)].map((text) => tokenizer.minTokens(text))).toEqual([
      0, 1, 2, 3,
    ]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(tokenizer.minTokens(text)).toBeLessThanOrEqual(tokenizer.encode(text).length);
      }),
      { numRuns: 500, seed: 5 },
    );
  });

  const withMask = (fields: object, rest: object = {}): Tokenizer => {
    const json = tinyTokenizerJson();
    const [endToken] = json['added_tokens'] as object[];
    const mask = { ...endToken, id: 262, content: '<mask>', ...fields };
    return new Tokenizer({ ...json, added_tokens: [endToken, mask], ...rest });
  };

  test('refuses merges that are not two tokens, by place', () => {
    const json = tinyTokenizerJson();
    const model = json['model'] as object;
    for (const merge of [['zz', 'qq'], 'h e', ['h'], null, 5]) {
      const merges = [['h', 'e'], merge];
      expect(() => new Tokenizer({ ...json, model: { ...model, merges } })).toThrow(/^model\.merges\[1\] is not two/);
    }
    expect(() => new Tokenizer({ ...json, model: { ...model, merges: ['#version: 0.2', 'h  e'] } })).toThrow(
      /merges\[1\]/,
    );
  });

  test('gives added tokens with one content one id', () => {
    const json = tinyTokenizerJson();
    const [end] = json['added_tokens'] as readonly { readonly id: number }[];
    const twice = new Tokenizer({
      ...json,
      added_tokens: [end, { id: 262, content: '<X>' }, { id: 263, content: '<X>' }],
    });
    const once = new Tokenizer({ ...json, added_tokens: [end, { id: 262, content: '<X>' }] });
    expect(twice.encode('<X>')).toEqual(once.encode('<X>'));
  });

  test('cuts no character in two where a pattern matches no text', () => {
    const pattern = { Regex: '\\A' };
    const split = { type: 'Split', pattern, behavior: 'Isolated', invert: false };
    const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
    const json = { ...tinyTokenizerJson(), pre_tokenizer: { type: 'Sequence', pretokenizers: [split, bytes] } };
    const cutting = new Tokenizer(json);
    expect(cutting.decode(cutting.encode('👨‍👩‍👧'))).toBe('👨‍👩‍👧');
  });

  test('does not count white space that a token may drop, and all else', () => {
    const spaces = ' \n\u00a0'.repeat(1300);
    for (const fields of [{ lstrip: true }, { rstrip: true }, { lstrip: true, rstrip: true }]) {
      const greedy = withMask(fields);
      expect(greedy.minTokens('x'.repeat(1300))).toBe(100);
      expect(greedy.minTokens(`${spaces}x`)).toBe(401);
      const text = `x${spaces}<mask>${spaces}x`;
      expect(greedy.encode(text).length).toBeGreaterThanOrEqual(greedy.minTokens(text));
      expect(greedy.minTokens(text)).toBe('lstrip' in fields && 'rstrip' in fields ? 1 : 401);
    }
  });

  test('bounds every text from below, whatever its tokens drop', () => {
    const unit = fc.constantFrom(' ', '\n', '\u3000', '<mask>', '<mas', '<|endoftext|>', 'hello', 'é');
    for (const fields of [{ lstrip: true }, { rstrip: true }, { lstrip: true, rstrip: true }]) {
      const greedy = withMask(fields);
      fc.assert(
        fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
          expect(greedy.minTokens(text)).toBeLessThanOrEqual(greedy.encode(text).length);
        }),
        { numRuns: 500, seed: 5 },
      );
    }
  });

  test('bounds a text of many tokens that drop white space in time that grows with its length', () => {
    const greedy = withMask({ content: ' ', lstrip: true, rstrip: true });
    expect(greedy.minTokens(' '.repeat(2 ** 20))).toBe(0);
  });

  test('says nothing of the fewest tokens where a normalizer may drop text', () => {
    expect(withMask({}, { normalizer: { type: 'NFC' } }).minTokens('x'.repeat(1000))).toBe(0);
  });

  test('puts special tokens around a source, and leaves them out of texts if it is told to', () => {
    const json = { ...tinyTokenizerJson(), ...roberta };
    const bart = new Tokenizer(json, { skipSpecialTokens: true });
    expect(bart.encodeSource('')).toEqual([262, 0]);
    expect(bart.encodeSource('hello')).toEqual([262, ...tokens, 0]);
    expect(bart.encode('hello')).toEqual(tokens);
    expect(bart.decode([262, ...tokens, 263, 0])).toBe('hello<sep>');
    expect(new TextDecoder().decode(bart.tokenBytes(262))).toBe('<s>');
    expect(new Tokenizer(json).decode([262, ...tokens, 0])).toBe('<s>hello<|endoftext|>');
    expect(tokenizer.encodeSource('hello')).toEqual(tokens);
    expect(tokenizer.encodeSource('')).toEqual([]);
  });

  test('parses special tokens and keeps them in the text', () => {
    const ids = tokenizer.encode('hello<|endoftext|>hello');
    expect(ids).toEqual([...tokens, 0, ...tokens]);
    expect(tokenizer.decode(ids)).toBe('hello<|endoftext|>hello');
  });

  test('spaces before punctuation stay', () => {
    expect(tokenizer.decode(tokenizer.encode("do n't , he 's ."))).toBe("do n't , he 's .");
  });

  test('tokens are bytes, special ones their text', () => {
    expect(tokenizer.tokenBytes(tokens[0] ?? -1)).toEqual(new TextEncoder().encode('hello'));
    expect(tokenizer.tokenBytes(0)).toEqual(new TextEncoder().encode('<|endoftext|>'));
    expect(Buffer.concat(tokenizer.encode('é 🍕').map((id) => tokenizer.tokenBytes(id))).toString()).toBe('é 🍕');
  });

  test('an id that is no token has no text', () => {
    expect(tokenizer.tokenBytes(99_999)).toHaveLength(0);
    expect(tokenizer.decode([99_999, ...tokens])).toBe('hello');
  });

  test('any text comes back', () => {
    const run = fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    });
    fc.assert(run);
  });
});

describe('a text stream', () => {
  test('never emits half a character', () => {
    const stream = tokenizer.textStream();
    const pieces = tokenizer.encode('a🍕b').map((id) => stream.push(id));
    expect(pieces).toEqual(['a', '', '', '', '🍕', 'b']);
    expect(stream.end()).toBe('');
  });

  test('an incomplete end becomes the replacement character', () => {
    const stream = tokenizer.textStream();
    const pieces = tokenizer
      .encode('🍕')
      .slice(0, 3)
      .map((id) => stream.push(id));
    expect([...pieces, stream.end()]).toEqual(['', '', '', '\ufffd']);
  });

  test('keeps a byte order mark', () => {
    expect(tokenizer.decode(tokenizer.encode('\ufeffa'))).toBe('\ufeffa');
  });

  test('any bytes give the text that decoding all of them at once gives', () => {
    // Bytes that begin, continue and break characters, oftener than chance has them.
    const byte = fc.oneof(
      fc.nat(255),
      fc.constantFrom(0x80, 0xbf, 0xc3, 0xe2, 0xed, 0xa0, 0xef, 0xbb, 0xf0, 0x9f, 0xf4, 0x90),
    );
    const run = fc.property(fc.array(byte), (bytes) => {
      const stream = tokenizer.textStream();
      const ids = bytes.map((value) => idOfByte.get(value) ?? -1);
      const text = ids.map((id) => stream.push(id)).join('') + stream.end();
      expect(text).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes)));
    });
    fc.assert(run, { numRuns: 1000 });
  });
});

describe('loading', () => {
  test('refuses another kind of tokenizer', () => {
    const json = tinyTokenizerJson();
    expect(() => new Tokenizer({ ...json, decoder: { type: 'Metaspace' } })).toThrow(/decoder is Metaspace/);
    expect(() => new Tokenizer({ ...json, decoder: null })).toThrow(/decoder undefined/);
    expect(() => new Tokenizer({ ...json, model: { ...json.model, type: 'Unigram' } })).toThrow(/model Unigram/);
  });

  test('takes a decoder that is a sequence of one, and no other sequence', () => {
    const json = tinyTokenizerJson();
    const sequence = (...decoders: unknown[]) => ({ type: 'Sequence', decoders });
    for (const decoder of [sequence(json['decoder']), sequence(sequence(json['decoder']))]) {
      const tokenizer = new Tokenizer({ ...json, decoder });
      expect(tokenizer.decode(tokenizer.encode('hello world'))).toBe('hello world');
    }
    for (const decoder of [sequence(), sequence(json['decoder'], { type: 'Strip' }), sequence(null)]) {
      expect(() => new Tokenizer({ ...json, decoder })).toThrow(/decoder (is|undefined)/);
    }
  });

  test('refuses a vocabulary that cannot write every byte', () => {
    const json = tinyTokenizerJson();
    const { Q: _, ...vocab } = json.model.vocab;
    expect(() => new Tokenizer({ ...json, model: { ...json.model, vocab } })).toThrow(/lacks 1 of the 256/);
  });

  test('reads a checkpoint directory, with or without a tokenizer_config.json', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tokenizer-'));
    try {
      await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tinyTokenizerJson()));
      expect((await loadTokenizer(directory)).encode('hello')).toEqual(tokens);
      await writeFile(join(directory, 'tokenizer_config.json'), '{"clean_up_tokenization_spaces":true}');
      expect((await loadTokenizer(directory)).decode(tokens)).toBe('hello');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

/** What BART's `tokenizer.json` has beside GPT-2's: a start token, its processor, and here an added token that is not special. */
const roberta = {
  added_tokens: [
    { id: 262, content: '<s>', special: true },
    { id: 0, content: '<|endoftext|>', special: true },
    { id: 263, content: '<sep>', special: false },
  ],
  post_processor: {
    ...{ type: 'RobertaProcessing', sep: ['<|endoftext|>', 0], cls: ['<s>', 262] },
    ...{ trim_offsets: true, add_prefix_space: false },
  },
};

const idOfByte = new Map(
  Array.from({ length: 257 }, (_, id) => id + 1)
    .filter((id) => tokenizer.tokenBytes(id).length === 1)
    .map((id) => [tokenizer.tokenBytes(id)[0] ?? -1, id]),
);
