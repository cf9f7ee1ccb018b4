import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach } from 'vitest';

import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { type Outcome, type SeenOutcome, testDocumentedRows } from '../support/documented-rows.js';
import { tinyTokenizerJson } from './tiny-tokenizer.js';

let directory: string;
beforeEach(async () => void (directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-documented-'))));
afterEach(() => fs.rm(directory, { recursive: true }));

/** Contents of the files in a model's directory, and what becomes of them where they are not refused. */
interface Case {
  readonly files: Readonly<Record<string, unknown>>;
  readonly outcome?: Outcome;
}

const json = tinyTokenizerJson();
const ofJson = (change: object): Case => ({ files: { 'tokenizer.json': { ...json, ...change } } });
/** The vocabulary without the byte 4. */
const { Ą: _end, ...vocab } = json.model.vocab;
const flags = { single_word: true, lstrip: true, rstrip: true };
/** A small tokenizer as Llama 2's, of the goldens. */
const { base: fallback } = JSON.parse(readFileSync(new URL('goldens/byte-fallback.json', import.meta.url), 'utf8')) as {
  readonly base: { readonly model: { readonly vocab: Readonly<Record<string, number>> } };
};
const { '<0x41>': _byte, ...lacking } = fallback.model.vocab;
const ofFallback = (vocab: object, config?: object): Case => ({
  files: {
    'tokenizer.json': { ...fallback, model: { ...fallback.model, vocab } },
    ...(config && { 'tokenizer_config.json': config }),
  },
  ...(config && { outcome: 'converted' }),
});
const punctuation = { type: 'Sequence', pretokenizers: [{ type: 'Punctuation' }, json['pre_tokenizer']] };

testDocumentedRows<Case>(
  'Tokenizers',
  {
    '`tokenizer.json`, byte-level BPE': ofJson({}),
    'The same, with `single_word`, `lstrip` and `rstrip` tokens': ofJson({
      added_tokens: [{ id: 262, content: '<x>', ...flags }],
    }),
    'The same, without tokens for some control characters, as of SmolLM2': ofJson({ model: { ...json.model, vocab } }),
    '`vocab.json` and `merges.txt`': {
      files: { 'vocab.json': json.model.vocab, 'merges.txt': '#version: 0.2\nh e\n' },
      outcome: 'converted',
    },
    'No tokenizer': { files: {} },
    '`spiece.model`, SentencePiece': { files: { 'spiece.model': '' } },
    '`vocab.txt`, WordPiece': { files: { 'vocab.txt': '' } },
    '`tokenizer.model`, SentencePiece, as of Llama 2': { files: { 'tokenizer.model': '' } },
    '`tokenizer.json`, a BPE with byte fallback, as of Llama 2 and Mistral': ofFallback(fallback.model.vocab),
    'The same, of the class `LlamaTokenizer`': ofFallback(fallback.model.vocab, { tokenizer_class: 'LlamaTokenizer' }),
    '`tokenizer.json`, a BPE with byte fallback without tokens for some bytes': ofFallback(lacking),
    '`tokenizer.json`, Unigram or WordPiece': ofJson({ model: { type: 'Unigram', vocab: [] } }),
    '`tokenizer.json`, a part that is not known here': ofJson({ pre_tokenizer: punctuation }),
    '`tokenizer.json`, a Git LFS pointer': {
      files: { 'tokenizer.json': 'version https://git-lfs.github.com/spec/v1\n' },
    },
    '`tokenizer.json`, cut off': { files: { 'tokenizer.json': JSON.stringify(json).slice(0, -9) } },
    '`tokenizer.json` of a model with more tokens': ofJson({
      model: { ...json.model, vocab: { ...json.model.vocab, more: 500 } },
    }),
  },
  async ({ files, outcome = 'taken' }): Promise<SeenOutcome> => {
    for (const [name, content] of Object.entries(files)) {
      await fs.writeFile(path.join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
    }
    return loadTokenizer(directory, { vocabularySize: 500 }).then(
      ({ textProblem }) => ({ outcome, messages: textProblem === undefined ? [] : [textProblem] }),
      (error: Error) => ({ outcome: 'refused', messages: [error.message] }),
    );
  },
);
