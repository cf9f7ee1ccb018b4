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
/** The decoder of Llama 2's tokenizer. */
const FALLBACK = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
    ...[{ type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }],
  ],
};
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
    '`tokenizer.json`, a BPE with byte fallback, as of Llama 2': ofJson({ decoder: FALLBACK }),
    '`tokenizer.json`, Unigram or WordPiece': ofJson({ model: { type: 'Unigram', vocab: [] } }),
    '`tokenizer.json`, a part that is not known here': ofJson({ pre_tokenizer: punctuation }),
    '`tokenizer.json`, a Git LFS pointer': {
      files: { 'tokenizer.json': 'version https://git-lfs.github.com/spec/v1\n' },
    },
    '`tokenizer.json`, cut off': { files: { 'tokenizer.json': JSON.stringify(json).slice(0, -9) } },
    '`tokenizer.json` of a model with more tokens': ofJson({
      model: { ...json.model, vocab: { ...json.model.vocab, more: 300 } },
    }),
  },
  async ({ files, outcome = 'taken' }): Promise<SeenOutcome> => {
    for (const [name, content] of Object.entries(files)) {
      await fs.writeFile(path.join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
    }
    return loadTokenizer(directory, { vocabularySize: 300 }).then(
      ({ textProblem }) => ({ outcome, messages: textProblem === undefined ? [] : [textProblem] }),
      (error: Error) => ({ outcome: 'refused', messages: [error.message] }),
    );
  },
);
