import * as library from '@huggingface/tokenizers';

import { type AddedToken, AddedTokens, isNormalized } from './added-tokens.js';
import { toBytes, toCharacters } from './byte-alphabet.js';
import { createNormalizer, type Normalize } from './normalizer.js';
import { createPreTokenizer, type PreTokenizer } from './pre-tokenizer.js';
import { type SurroundingIds, surroundingIds } from './special-tokens.js';
import { TextStream } from './text-stream.js';
import { TokenBound } from './token-bound.js';
import type { ModelTokenizer } from './token-encoder.js';
import { checkTokenizerJson, missingBytes, type TokenizerJson } from './tokenizer-json.js';

/**
 * The part of the library's class in use. (The library's own declarations do not resolve under Node's module
 * resolution.)
 */
interface Bpe {
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly vocab: readonly (string | undefined)[];
  encode(pieces: readonly string[]): readonly string[];
}

const { BPE } = library as unknown as { readonly BPE: new (model: TokenizerJson['model']) => Bpe };

const noBytes = new Uint8Array(0);
const encoder = new TextEncoder();

export interface TokenizerOptions {
  /** Whether texts leave special tokens out, as Transformers' `skip_special_tokens` has it; false unless given. */
  readonly skipSpecialTokens?: boolean;
  /** As `PromptEncoder.specialTokensInPrompts`. */
  readonly specialTokensInPrompts?: boolean;
}

/** GPT-2's byte-level BPE, which BART has too, with the same ids and texts as Hugging Face's tokenizer. */
export class Tokenizer implements ModelTokenizer {
  /** The largest id of the vocabulary, added tokens left out. */
  readonly largestId: number;
  readonly specialTokensInPrompts: boolean;
  readonly #bpe: Bpe;
  readonly #added: ReadonlyMap<number, AddedToken>;
  /** Added tokens that are found in a text as it is written, and those that are found behind the normalizer. */
  readonly #written: AddedTokens;
  readonly #normalized: AddedTokens;
  readonly #normalize: Normalize;
  readonly #preTokenizer: PreTokenizer;
  readonly #around: SurroundingIds;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly #namesakes: ReadonlySet<number>;
  readonly #bound: TokenBound;
  readonly #skipsSpecial: boolean;

  /**
   * @param content of `tokenizer.json`
   * @throws TokenizerError when the tokenizer is not a byte-level BPE that can write every text of assigned characters, or has a part that is not known here
   */
  constructor(content: object, { skipSpecialTokens = false, specialTokensInPrompts = false }: TokenizerOptions = {}) {
    const json = checkTokenizerJson(content);
    const { added_tokens: added, model } = json;
    const normalize = createNormalizer(json.normalizer);
    this.#skipsSpecial = skipSpecialTokens;
    this.specialTokensInPrompts = specialTokensInPrompts;
    this.#bpe = new BPE(model);
    this.#added = new Map(added.map((token) => [token.id, token]));
    this.#normalize = normalize ?? ((text) => text);
    this.#written = new AddedTokens(added.filter((token) => !isNormalized(token)));
    this.#normalized = new AddedTokens(added.filter(isNormalized), ({ content: text }) => this.#normalize(text));
    this.#preTokenizer = createPreTokenizer(json.pre_tokenizer);
    const ids = new Map(added.map((token) => [token.content, token.id]));
    const idOf = (token: string): number | undefined => ids.get(token) ?? this.#bpe.tokens_to_ids.get(token);
    this.#around = surroundingIds(json.post_processor, idOf);
    const tokens = Object.keys(model.vocab);
    this.#bound = new TokenBound(
      tokens,
      added,
      missingBytes(model.vocab),
      normalize === undefined && !this.#preTokenizer.drops,
    );
    this.largestId = Object.values(model.vocab).reduce((largest, id) => Math.max(largest, id), 0);
    this.#namesakes = namesakesOf(added, tokens, this.#bpe.tokens_to_ids);
  }

  /** Token ids of a text. Special tokens written in the text are recognised; none is added. */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const piece of this.#written.split(text)) {
      if (typeof piece === 'number') ids.push(piece);
      else for (const part of this.#normalized.split(this.#normalize(piece))) this.#encodePart(part, ids);
    }
    return ids;
  }

  /** As `encode`, with the special tokens that the tokenizer puts around a text: `<s>` and `</s>` in BART, `<s>` in Llama, none in GPT-2. */
  encodeSource(text: string): number[] {
    return [...this.#around.before, ...this.encode(text), ...this.#around.behind];
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
    return skipsSpecial && this.#added.get(id)?.special ? noBytes : this.tokenBytes(id);
  }

  isNamesake(id: number): boolean {
    return this.#namesakes.has(id);
  }

  /** A decoder for the tokens of one sequence as they arrive. */
  textStream(): TextStream {
    return new TextStream(this);
  }

  #encodePart(part: string | number, ids: number[]): void {
    if (typeof part === 'number') {
      ids.push(part);
      return;
    }
    for (const token of this.#bpe.encode(this.#preTokenizer.cut(part))) {
      const id = this.#bpe.tokens_to_ids.get(token);
      if (id !== undefined) ids.push(id);
    }
  }

  #bytesOf(id: number): Uint8Array {
    const token = this.#added.get(id)?.content;
    if (token !== undefined) return encoder.encode(token);
    return bytesOfToken(this.#bpe.vocab[id] ?? '');
  }
}

/** A token that is not written in the alphabet stands for its own characters. */
function bytesOfToken(token: string): Uint8Array {
  return toBytes(token) ?? encoder.encode(token);
}

/** Ids of tokens with the bytes of another token that has a lower id. Tokens in the alphabet all differ: one of two is not, or is added. */
function namesakesOf(
  added: readonly AddedToken[],
  vocabulary: readonly string[],
  idOf: ReadonlyMap<string, number>,
): ReadonlySet<number> {
  const written = vocabulary
    .filter((token) => toBytes(token) === undefined)
    .map((token) => ({ content: token, id: idOf.get(token) ?? 0 }));
  const addedIds = new Set(added.map(({ id }) => id));
  const ids = new Map<string, Set<number>>();
  for (const { content, id } of [...added, ...written.filter((token) => !addedIds.has(token.id))]) {
    const own = ids.get(content) ?? new Set();
    const other = idOf.get(toCharacters(content));
    if (other !== undefined && !addedIds.has(other)) own.add(other);
    ids.set(content, own.add(id));
  }
  const namesakes = [...ids.values()].flatMap((same) => [...same].sort((a, b) => a - b).slice(1));
  return new Set(namesakes);
}
