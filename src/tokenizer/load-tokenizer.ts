import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { type Gpt2Files, toTokenizerJson } from './gpt2-files.js';
import { asLoaded } from './llama-class.js';
import { NoTokenizer } from './no-tokenizer.js';
import { readObjectIfThere, readTextIfThere } from './text-file.js';
import type { ModelTokenizer } from './token-encoder.js';
import { Tokenizer } from './tokenizer.js';
import { BY_IDS, TokenizerError } from './tokenizer-error.js';

interface LoadOptions {
  /** Whether the model has an encoder, as BART: then texts leave special tokens out. False unless given. */
  readonly hasEncoder?: boolean;
  /** As `TokenizerOptions.specialTokensInPrompts`. */
  readonly specialTokensInPrompts?: boolean;
  /** `model_type` of the checkpoint's `config.json`, where it decides what Transformers makes of the files. */
  readonly modelType?: string | undefined;
  /** Ids that the model has; not checked unless given. */
  readonly vocabularySize?: number;
}

/** Files that tokenizers of other kinds are in. */
const OTHER_KINDS = [
  ...['spiece.model', 'sentencepiece.bpe.model', 'spm.model', 'source.spm', 'tokenizer.model', 'vocab.txt'],
  ...['vocab.json', 'merges.txt', 'bpe.codes', 'tokenizer.tiktoken'],
] as const;

/**
 * Loads the tokenizer of a checkpoint's or compiled model's directory: `tokenizer.json`, else `vocab.json` and `merges.txt` with the files
 * that belong to them. A directory with no tokenizer at all gives one that has a `textProblem`.
 * @throws TokenizerError naming the file that is broken, or of another kind, or of another model
 */
export async function loadTokenizer(directory: string, options: LoadOptions = {}): Promise<ModelTokenizer> {
  const { hasEncoder: skipSpecialTokens = false, specialTokensInPrompts = false } = options;
  const settings = { skipSpecialTokens, specialTokensInPrompts };
  const json = await readObjectIfThere(directory, 'tokenizer.json');
  if (json) {
    const config = (await readObjectIfThere(directory, 'tokenizer_config.json')) ?? {};
    const place = join(directory, 'tokenizer.json');
    return build(place, options, () => new Tokenizer(asLoaded(json, config, options.modelType), settings));
  }
  const files = await readGpt2Files(directory);
  if (files) {
    const place = join(directory, 'vocab.json');
    return build(
      place,
      options,
      () => new Tokenizer(toTokenizerJson(files, skipSpecialTokens ? 'bart' : 'gpt2'), settings),
    );
  }
  const present = new Set(await readdir(directory));
  const other = OTHER_KINDS.find((name) => present.has(name));
  if (other !== undefined) refuseOther(directory, other);
  return new NoTokenizer();
}

/** Undefined unless there are both a vocabulary and merges. */
async function readGpt2Files(directory: string): Promise<Gpt2Files | undefined> {
  const [vocab, merges] = [
    await readObjectIfThere(directory, 'vocab.json'),
    await readTextIfThere(directory, 'merges.txt'),
  ];
  if (vocab === undefined || merges === undefined) return undefined;
  const config = await readObjectIfThere(directory, 'tokenizer_config.json');
  const addedTokens = await readObjectIfThere(directory, 'added_tokens.json');
  const specialTokensMap = await readObjectIfThere(directory, 'special_tokens_map.json');
  return { vocab, merges, config, addedTokens, specialTokensMap };
}

function build(place: string, { vocabularySize = Infinity }: LoadOptions, create: () => Tokenizer): Tokenizer {
  const tokenizer = namingFile(place, create);
  if (tokenizer.largestId < vocabularySize) return tokenizer;
  const ids = `has ids up to ${tokenizer.largestId}, but config.json says that the model's vocabulary has ${vocabularySize}`;
  throw new TokenizerError(`${place} ${ids}: it is another model's`);
}

function namingFile(place: string, create: () => Tokenizer): Tokenizer {
  try {
    return create();
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    throw new TokenizerError(`${place}: ${error.message}`, { cause: error });
  }
}

function refuseOther(directory: string, file: string): never {
  const line = `python -c "from transformers import ${LOADERS.get(file) ?? 'AutoTokenizer as T; T.from_pretrained(%)'}.save_pretrained(%)"`;
  throw new TokenizerError(
    `${directory}: there is ${file}, but no tokenizer.json; \`${line.replaceAll('%', `'${directory}'`)}\` makes one, which is served if it is ` +
      `a BPE that is byte-level or has byte fallback. Unigram and WordPiece are not: ${BY_IDS}`,
  );
}

/**
 * What loads Llama 2's file, and writes a space and the first token before a text: without a `tokenizer_config.json` Transformers 5's
 * AutoTokenizer makes a tokenizer of it that does neither.
 */
const LOADERS: ReadonlyMap<string, string> = new Map([
  ['tokenizer.model', 'LlamaTokenizer as T; T.from_pretrained(%, add_bos_token=True)'],
]);
