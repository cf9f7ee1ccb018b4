import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as library from '@huggingface/tokenizers';

import { byteOfCharacter, toBytes } from './byte-alphabet.js';
import { TextStream, type TokenBytes } from './text-stream.js';

/**
 * The part of the library's class in use. (The library's own declarations do not resolve under Node's module
 * resolution.)
 */
interface ByteLevelBpe {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  id_to_token(id: number): string | undefined;
  get_added_tokens_decoder(): ReadonlyMap<number, { readonly content: string }>;
}

const { Tokenizer: ByteLevelBpe } = library as unknown as {
  readonly Tokenizer: new (tokenizer: object, config: object) => ByteLevelBpe;
};

const noBytes = new Uint8Array(0);

/** The parts of `tokenizer.json` that are checked here; the library reads the rest. */
interface TokenizerJson {
  readonly model?: { readonly type?: string; readonly vocab?: Readonly<Record<string, number>> };
  readonly normalizer?: object | null;
  readonly added_tokens?: readonly { readonly content: string; readonly lstrip?: boolean; readonly rstrip?: boolean }[];
  readonly decoder?: { readonly type?: string } | null;
}

/** GPT-2's byte-level BPE, with the same ids and texts as Hugging Face's tokenizer. */
export class Tokenizer implements TokenBytes {
  readonly #bpe: ByteLevelBpe;
  readonly #addedTokens: ReadonlyMap<number, { readonly content: string }>;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly #longestToken: number;

  /**
   * @param tokenizer content of `tokenizer.json`
   * @param config content of `tokenizer_config.json`
   * @throws TypeError when the tokenizer is not a byte-level BPE that can write every byte
   */
  constructor(tokenizer: object, config: object = {}) {
    refuseOtherKinds(tokenizer);
    this.#bpe = new ByteLevelBpe(tokenizer, config);
    this.#addedTokens = this.#bpe.get_added_tokens_decoder();
    this.#longestToken = longestToken(tokenizer);
  }

  /** Loads `tokenizer.json` and, if present, `tokenizer_config.json` from a checkpoint directory. */
  static async load(directory: string): Promise<Tokenizer> {
    const [tokenizer, config] = await Promise.all([
      readJson(join(directory, 'tokenizer.json')),
      readJson(join(directory, 'tokenizer_config.json')).catch(emptyIfMissing),
    ]);
    return new Tokenizer(tokenizer, config);
  }

  /** Token ids of a text. Special tokens written in the text are recognised; none is added. */
  encode(text: string): number[] {
    return text === '' ? [] : this.#bpe.encode(text, { add_special_tokens: false }).ids;
  }

  /**
   * Lower bound on the number of tokens of a text, from its byte length. Instant, where `encode` takes long on a long
   * text.
   */
  minTokens(text: string): number {
    return Math.ceil(Buffer.byteLength(text) / this.#longestToken);
  }

  /** The text of token ids, special tokens included. Unknown ids have no text. */
  decode(ids: readonly number[]): string {
    const stream = this.textStream();
    return ids.map((id) => stream.push(id)).join('') + stream.end();
  }

  /** The bytes of a token; a character may span several tokens. The array is shared: do not write to it. */
  tokenBytes(id: number): Uint8Array {
    return (this.#bytes[id] ??= this.#bytesOf(id));
  }

  /** A decoder for the tokens of one sequence as they arrive. */
  textStream(): TextStream {
    return new TextStream(this);
  }

  #bytesOf(id: number): Uint8Array {
    const added = this.#addedTokens.get(id);
    if (added) return new TextEncoder().encode(added.content);
    const token = this.#bpe.id_to_token(id);
    if (token === undefined) return noBytes;
    return toBytes(token) ?? new TextEncoder().encode(token);
  }
}

function refuseOtherKinds({ model, decoder }: TokenizerJson): void {
  if (model?.type !== 'BPE' || decoder?.type !== 'ByteLevel') {
    const found = `model ${String(model?.type)}, decoder ${String(decoder?.type)}`;
    throw new TypeError(
      `The tokenizer must be GPT-2's byte-level BPE (model BPE, decoder ByteLevel), but is: ${found}.`,
    );
  }
  const missing = [...byteOfCharacter].filter(([character]) => model.vocab?.[character] === undefined);
  if (missing.length === 0) return;
  throw new TypeError(
    `The tokenizer's vocabulary lacks ${missing.length} of the 256 single bytes: it cannot write every text.`,
  );
}

/** Most bytes of text that one token can stand for; Infinity if the tokenizer drops text before it looks for tokens. */
function longestToken({ model, normalizer, added_tokens: added = [] }: TokenizerJson): number {
  if (normalizer || added.some(({ lstrip, rstrip }) => (lstrip ?? false) || (rstrip ?? false))) return Infinity;
  // A character of the vocabulary is a byte.
  const lengths = Object.keys(model?.vocab ?? {}).map(({ length }) => length);
  const contents = added.map(({ content }) => Buffer.byteLength(content));
  return [...lengths, ...contents].reduce((longest, length) => Math.max(longest, length), 1);
}

async function readJson(path: string): Promise<object> {
  return JSON.parse(await readFile(path, 'utf8')) as object;
}

function emptyIfMissing(error: NodeJS.ErrnoException): object {
  if (error.code === 'ENOENT') return {};
  throw error;
}
