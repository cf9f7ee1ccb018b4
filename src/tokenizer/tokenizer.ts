import { type AddedToken, AddedTokens, isNormalized } from './added-tokens.js';
import { ByteFallbackModel } from './byte-fallback.js';
import { ByteLevelModel } from './byte-level.js';
import { type Decoder, decoderSteps, fallbackDecoding } from './decoder.js';
import { keepsCharacters } from './normalizer.js';
import { createPipeline, type Pipeline, withoutPrefix } from './pipeline.js';
import { type SurroundingIds, surroundingIds } from './special-tokens.js';
import { TextStream } from './text-stream.js';
import { TokenBound } from './token-bound.js';
import type { ModelTokenizer } from './token-encoder.js';
import { refuseField } from './tokenizer-error.js';
import { type BpeJson, checkTokenizerJson } from './tokenizer-json.js';

const noBytes = new Uint8Array(0);

export interface TokenizerOptions {
  /** Whether texts leave special tokens out, as Transformers' `skip_special_tokens` has it; false unless given. */
  readonly skipSpecialTokens?: boolean;
  /** As `PromptEncoder.specialTokensInPrompts`. */
  readonly specialTokensInPrompts?: boolean;
}

/**
 * A byte-level BPE, as of GPT-2, BART, Llama 3 and Qwen, or one with byte fallback, as of Llama 2 and Mistral, with the same ids and texts
 * as Hugging Face's tokenizer.
 */
export class Tokenizer implements ModelTokenizer {
  /** The largest id of the vocabulary, added tokens left out. */
  readonly largestId: number;
  readonly leadingSpaces: number;
  readonly joinsWords: boolean;
  readonly specialTokensInPrompts: boolean;
  readonly #model: ByteLevelModel | ByteFallbackModel;
  readonly #added: ReadonlyMap<number, AddedToken>;
  /** Added tokens that are found in a text as it is written, and those that are found behind the normalizer. */
  readonly #written: AddedTokens;
  readonly #normalized: AddedTokens;
  /** How the beginning of a text is read, and what follows an added token; and a text that goes on from another. */
  readonly #start: Pipeline;
  readonly #inside: Pipeline;
  readonly #around: SurroundingIds;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  #namesakes: ReadonlySet<number> | undefined;
  readonly #bound: TokenBound;
  readonly #skipsSpecial: boolean;

  /**
   * @param content of `tokenizer.json`
   * @throws TokenizerError when the tokenizer is not of a kind that is served, cannot write every text of assigned characters, or has a part that is not known here
   */
  constructor(content: object, { skipSpecialTokens = false, specialTokensInPrompts = false }: TokenizerOptions = {}) {
    const json = checkTokenizerJson(content);
    const { added_tokens: added, model: bpe } = json;
    const model = createModel(json.decoder, bpe);
    const isByteLevel = model instanceof ByteLevelModel;
    this.#model = model;
    this.#skipsSpecial = skipSpecialTokens;
    this.specialTokensInPrompts = specialTokensInPrompts;
    this.largestId = model.largestId;
    this.leadingSpaces = model.leadingSpaces;
    this.joinsWords = model.joinsWords;
    this.#added = new Map(added.map((token) => [token.id, token]));
    this.#start = createPipeline(json, isByteLevel);
    this.#inside = isByteLevel ? this.#start : createPipeline(withoutPrefix(json), isByteLevel);
    this.#written = new AddedTokens(added.filter((token) => !isNormalized(token)));
    this.#normalized = new AddedTokens(added.filter(isNormalized), this.#contentOf);
    const ids = new Map(added.map((token) => [token.content, token.id]));
    this.#around = surroundingIds(json.post_processor, (token) => ids.get(token) ?? model.idOf(token));
    const keeps = isByteLevel ? !json.normalizer : keepsCharacters(json.normalizer, model.space);
    this.#bound = new TokenBound(model.sizes, added, keeps && !this.#start.preTokenizer.drops);
  }

  /** Token ids of a text. Special tokens written in the text are recognised; none is added. */
  encode(text: string): number[] {
    return this.#encode(text, this.#start);
  }

  encodeContinuation(text: string): number[] {
    return this.#encode(text, this.#inside);
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
    this.#namesakes ??= this.#model.namesakes([...this.#added.values()]);
    return this.#namesakes.has(id);
  }

  /** A decoder for the tokens of one whole text as they arrive. */
  textStream(): TextStream {
    return new TextStream(this, undefined, true);
  }

  /** What an added token is found as and, in Hugging Face's library, decoded to. */
  readonly #contentOf = (token: AddedToken): string =>
    isNormalized(token) ? this.#start.normalize(token.content) : token.content;

  /** @param first how the text's beginning is read */
  #encode(text: string, first: Pipeline): number[] {
    const ids: number[] = [];
    this.#written.split(text).forEach((piece, i) => {
      if (typeof piece === 'number') ids.push(piece);
      else this.#encodePiece(piece, i === 0 ? first : this.#start, i === 0, ids);
    });
    return ids;
  }

  #encodePiece(piece: string, { normalize, preTokenizer }: Pipeline, isStart: boolean, ids: number[]): void {
    this.#normalized.split(normalize(piece)).forEach((part, i) => {
      if (typeof part === 'number') ids.push(part);
      else this.#model.encode(preTokenizer.cut(part, isStart && i === 0), ids);
    });
  }

  #bytesOf(id: number): Uint8Array {
    const token = this.#added.get(id);
    return token === undefined ? this.#model.bytesOf(id) : this.#model.addedBytes(this.#contentOf(token));
  }
}

function createModel(decoder: Decoder, bpe: BpeJson): ByteLevelModel | ByteFallbackModel {
  const steps = decoderSteps(decoder);
  const isByteLevel = steps.length === 1 && steps[0]?.type === 'ByteLevel';
  const { byte_fallback: hasFallback = false } = bpe;
  if (isByteLevel && hasFallback) refuseField('model.byte_fallback', 'is true beside a ByteLevel decoder');
  if (isByteLevel) return new ByteLevelModel(bpe);
  const decoding = fallbackDecoding(steps);
  if (!hasFallback) refuseField('model.byte_fallback', 'must be true for a decoder with ByteFallback');
  return new ByteFallbackModel(bpe, decoding);
}
