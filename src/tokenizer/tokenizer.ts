import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as library from '@huggingface/tokenizers';

import { byteOfCharacter, toBytes } from './byte-alphabet.js';
import { decoderType } from './decoder-type.js';
import { type AddedToken, TokenBound } from './token-bound.js';
import { TextStream, type TokenBytes } from './text-stream.js';
import type { PromptEncoder } from './token-encoder.js';

interface LibraryToken {
  readonly content: string;
  readonly special: boolean;
}

/**
 * The part of the library's class in use. (The library's own declarations do not resolve under Node's module
 * resolution.)
 */
interface ByteLevelBpe {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  id_to_token(id: number): string | undefined;
  get_added_tokens_decoder(): ReadonlyMap<number, LibraryToken>;
}

const { Tokenizer: ByteLevelBpe } = library as unknown as {
  readonly Tokenizer: new (tokenizer: object, config: object) => ByteLevelBpe;
};

const noBytes = new Uint8Array(0);

/** The parts of `tokenizer.json` that are checked here; the library reads the rest. */
interface TokenizerJson {
  readonly model?: { readonly type?: string; readonly vocab?: Readonly<Record<string, number>> };
  readonly normalizer?: object | null;
  readonly added_tokens?: readonly AddedToken[];
  readonly decoder?: { readonly type?: string } | null;
}

export interface TokenizerOptions {
  /** Whether texts leave special tokens out, as Transformers' `skip_special_tokens` has it; false unless given. */
  readonly skipSpecialTokens?: boolean;
}

/** GPT-2's byte-level BPE, which BART has too, with the same ids and texts as Hugging Face's tokenizer. */
export class Tokenizer implements TokenBytes, PromptEncoder {
  readonly #bpe: ByteLevelBpe;
  readonly #addedTokens: ReadonlyMap<number, LibraryToken>;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly #bound: TokenBound;
  readonly #skipsSpecial: boolean;

  /**
   * @param tokenizer content of `tokenizer.json`
   * @param config content of `tokenizer_config.json`
   * @throws TypeError when the tokenizer is not a byte-level BPE that can write every byte
   */
  constructor(tokenizer: object, config: object = {}, { skipSpecialTokens = false }: TokenizerOptions = {}) {
    refuseOtherKinds(tokenizer);
    this.#skipsSpecial = skipSpecialTokens;
    this.#bpe = new ByteLevelBpe(tokenizer, config);
    this.#addedTokens = this.#bpe.get_added_tokens_decoder();
    this.#bound = toBound(tokenizer);
  }

  /** Loads `tokenizer.json` and, if present, `tokenizer_config.json` from a checkpoint directory. */
  static async load(directory: string, options?: TokenizerOptions): Promise<Tokenizer> {
    const [tokenizer, config] = await Promise.all([
      readJson(join(directory, 'tokenizer.json')),
      readJson(join(directory, 'tokenizer_config.json')).catch(emptyIfMissing),
    ]);
    return new Tokenizer(tokenizer, config, options);
  }

  /** Token ids of a text. Special tokens written in the text are recognised; none is added. */
  encode(text: string): number[] {
    return text === '' ? [] : this.#bpe.encode(text, { add_special_tokens: false }).ids;
  }

  /** As `encode`, with the special tokens that the tokenizer puts around a text: `<s>` and `</s>` in BART, none in GPT-2. */
  encodeSource(text: string): number[] {
    return this.#bpe.encode(text, { add_special_tokens: true }).ids;
  }

  /**
   * Lower bound on the number of tokens of a text, from its byte length. Instant, where `encode` takes long on a long
   * text.
   */
  minTokens(text: string): number {
    return this.#bound.minTokens(text);
  }

  /** The text of token ids, special tokens included unless they are skipped. Unknown ids have no text. */
  decode(ids: readonly number[]): string {
    const stream = this.textStream();
    return ids.map((id) => stream.push(id)).join('') + stream.end();
  }

  /** The bytes of a token; a character may span several tokens. The array is shared: do not write to it. */
  tokenBytes(id: number): Uint8Array {
    return (this.#bytes[id] ??= this.#bytesOf(id));
  }

  /** As `tokenBytes`; none for a special token that texts leave out. */
  textBytes(id: number, skipsSpecial = this.#skipsSpecial): Uint8Array {
    return skipsSpecial && this.#addedTokens.get(id)?.special ? noBytes : this.tokenBytes(id);
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
  const decoding = decoderType(decoder);
  if (model?.type !== 'BPE' || decoding !== 'ByteLevel') {
    const found = `model ${String(model?.type)}, decoder ${String(decoding)}`;
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

function toBound({ model, normalizer, added_tokens: added = [] }: TokenizerJson): TokenBound {
  return new TokenBound(Object.keys(model?.vocab ?? {}), added, !normalizer);
}

async function readJson(path: string): Promise<object> {
  return JSON.parse(await readFile(path, 'utf8')) as object;
}

function emptyIfMissing(error: NodeJS.ErrnoException): object {
  if (error.code === 'ENOENT') return {};
  throw error;
}
