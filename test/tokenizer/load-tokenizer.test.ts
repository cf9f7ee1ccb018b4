import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { TokenizerError } from '../../src/tokenizer/tokenizer-error.js';
import { tinyTokenizerJson } from './tiny-tokenizer.js';

/** Files and ids of Transformers; `goldens/gpt2_files.py` makes them. */
interface Gpt2FilesGolden {
  readonly texts: readonly string[];
  readonly cases: Readonly<Record<string, Gpt2FilesCase>>;
}

interface Gpt2FilesCase {
  readonly files: Readonly<Record<string, unknown>>;
  readonly ids: readonly string[];
  /** Of the text "a", with special tokens. */
  readonly source: readonly number[];
}

const golden = JSON.parse(readFileSync(new URL('goldens/gpt2-files.json', import.meta.url), 'utf8')) as Gpt2FilesGolden;

let directory: string;
beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'tokenizer-'))));
afterEach(() => rm(directory, { recursive: true }));

async function write(files: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
}

describe('vocab.json and merges.txt have the ids of Transformers', () => {
  it.each(Object.entries(golden.cases))('%s', async (_, { files, ids, source }) => {
    await write(files);
    const { model_type: type } = files['config.json'] as { readonly model_type: string };
    const tokenizer = await loadTokenizer(directory, { hasEncoder: type === 'bart' });
    const own = golden.texts.map((text) => ({ text, ids: tokenizer.encode(text).join(' ') }));
    expect(own).toEqual(golden.texts.map((text, i) => ({ text, ids: ids[i] })));
    expect(tokenizer.encodeSource('a')).toEqual(source);
  });

  it('and refuses what is no such file, by name and place', async () => {
    const { files } = golden.cases['the two files'] as Gpt2FilesCase;
    const refused: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
      [{ 'merges.txt': '#version: 0.2\nh e\nhe ll o\n' }, /vocab\.json: merges\.txt: line 3 is not two tokens/],
      [{ 'tokenizer_config.json': { tokenizer_class: 'CLIPTokenizer' } }, /tokenizer_class CLIPTokenizer is not known/],
      [{ 'tokenizer_config.json': '<html>' }, /tokenizer_config\.json is a web page/],
      [{ 'vocab.json': { a: 0 } }, /vocab\.json: model\.vocab lacks 255 of the 256/],
      [{ 'vocab.json': { a: 'b' } }, /vocab\.json: model\.vocab must give each token an id/],
      [{ 'added_tokens.json': [] }, /added_tokens\.json is not a JSON object/],
    ];
    for (const [change, message] of refused) {
      await rm(directory, { recursive: true });
      directory = await mkdtemp(join(tmpdir(), 'tokenizer-'));
      await write({ ...files, ...change });
      await expect(loadTokenizer(directory)).rejects.toThrow(message);
      await expect(loadTokenizer(directory)).rejects.toThrow(TokenizerError);
    }
  });
});

describe('a broken tokenizer.json says what it is and how to fetch it', () => {
  const whole = JSON.stringify(tinyTokenizerJson());
  it.each([
    [
      'a Git LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n',
      /is a Git LFS pointer.*git lfs pull/,
    ],
    ['a web page', '<!DOCTYPE html><html></html>', /is a web page/],
    ['cut JSON', whole.slice(0, -20), /is not JSON: it was cut off/],
    ['an empty file', '', /is empty/],
    ['a list', '[]', /is not a JSON object/],
    ['no model', '{}', /the tokenizer must be a BPE.*served by token ids/],
    ['no merges', JSON.stringify(tinyTokenizerJson()).replace('"merges"', '"merge"'), /model\.merges must be a list/],
  ])('%s', async (_, content, message) => {
    await write({ 'tokenizer.json': content });
    const refused = expect(loadTokenizer(directory)).rejects;
    await refused.toThrow(message);
    await expect(loadTokenizer(directory)).rejects.toThrow(join(directory, 'tokenizer.json'));
    await expect(loadTokenizer(directory)).rejects.toThrow(TokenizerError);
  });

  it('a part that would be computed wrongly is refused by name', async () => {
    const json = tinyTokenizerJson();
    const bytes = json['pre_tokenizer'] as object;
    const refused: readonly (readonly [object, RegExp])[] = [
      [
        { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Punctuation' }, bytes] } },
        /pre_tokenizer\.pretokenizers\[0\] is Punctuation/,
      ],
      [{ pre_tokenizer: null }, /pre_tokenizer has no ByteLevel/],
      [
        {
          pre_tokenizer: {
            type: 'Sequence',
            pretokenizers: [{ type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' }, bytes],
          },
        },
        /pretokenizers\[0\]\.pattern cannot be matched/,
      ],
      [{ normalizer: { type: 'BertNormalizer' } }, /normalizer is BertNormalizer; supported are NFC/],
      [{ model: { ...json.model, dropout: 0.1 } }, /model\.dropout is not supported/],
      [{ model: { ...json.model, end_of_word_suffix: '</w>' } }, /model\.end_of_word_suffix is not supported/],
      [{ added_tokens: [{ content: '<x>' }] }, /added_tokens must be tokens with content and id/],
      [{ post_processor: { type: 'Unheard' } }, /post_processor is not supported/],
      [
        { post_processor: { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] } },
        /post_processor adds "<s>"/,
      ],
    ];
    for (const [change, message] of refused) {
      await write({ 'tokenizer.json': { ...json, ...change } });
      await expect(loadTokenizer(directory)).rejects.toThrow(message);
    }
  });

  it('ids beyond the model are of another model; added tokens may be beyond it', async () => {
    const json = tinyTokenizerJson();
    await write({ 'tokenizer.json': { ...json, added_tokens: [{ id: 262, content: '<pad>' }] } });
    await expect(loadTokenizer(directory, { vocabularySize: 261 })).rejects.toThrow(/ids up to 261, but .* has 261/);
    expect((await loadTokenizer(directory, { vocabularySize: 262 })).encode('<pad>')).toEqual([262]);
  });
});

describe('a directory without a tokenizer.json', () => {
  it('and with a tokenizer of another kind is refused, with the line that makes one', async () => {
    for (const name of ['spiece.model', 'tokenizer.model', 'vocab.txt', 'vocab.json', 'merges.txt']) {
      await write({ [name]: '{}' });
      const message = new RegExp(
        `there is ${name}.*(AutoTokenizer|LlamaTokenizer as T.*add_bos_token=True).*save_pretrained.*served by token ids`,
      );
      await expect(loadTokenizer(directory)).rejects.toThrow(message);
      await rm(join(directory, name));
    }
  });

  it('and with none reads no text, and names tokens by their ids', async () => {
    const tokenizer = await loadTokenizer(directory);
    expect(tokenizer.textProblem).toMatch(/no tokenizer/);
    expect(tokenizer.decode([1, 2])).toBe('');
    expect(tokenizer.tokenBytes(3)).toHaveLength(0);
    expect(() => tokenizer.encode('a')).toThrow(/no tokenizer/);
  });
});
