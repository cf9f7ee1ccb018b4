import { type Decoder, decoderType } from './decoder-type.js';
import type { AddedToken } from './added-tokens.js';
import { byteOfCharacter } from './byte-alphabet.js';
import type { NormalizerJson } from './normalizer.js';
import type { PreTokenizerJson } from './pre-tokenizer.js';
import { BY_IDS, refuseField, TokenizerError } from './tokenizer-error.js';

/** The merges of a byte-level BPE, best first: pairs, or as older files have them two tokens with a space between. */
type Merges = readonly (readonly [string, string])[] | readonly string[];

/** The content of `tokenizer.json`, as far as it is read. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer?: NormalizerJson | null;
  readonly pre_tokenizer?: PreTokenizerJson | null;
  readonly post_processor?: object | null;
  readonly decoder: { readonly type: 'ByteLevel' };
  readonly model: {
    readonly type: 'BPE';
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: Merges;
    readonly ignore_merges?: boolean;
  };
}

/** The same before it is checked. */
interface Unchecked {
  readonly added_tokens?: unknown;
  readonly decoder?: Decoder | null;
  readonly model?: {
    readonly type?: unknown;
    readonly vocab?: unknown;
    readonly merges?: unknown;
    readonly dropout?: unknown;
    readonly unk_token?: unknown;
    readonly continuing_subword_prefix?: unknown;
    readonly end_of_word_suffix?: unknown;
  } | null;
}

/**
 * Checks the content of `tokenizer.json`.
 * @throws TokenizerError when it is not a byte-level BPE that can write every text of assigned characters, or is not whole
 */
export function checkTokenizerJson(json: object): TokenizerJson {
  const { model, decoder, added_tokens: added = [] } = json as Unchecked;
  const decoding = decoderType(decoder);
  if (model?.type !== 'BPE' || decoding !== 'ByteLevel') {
    const found = `model ${String(model?.type)}, decoder ${String(decoding)}`;
    throw new TokenizerError(
      `the tokenizer must be GPT-2's byte-level BPE (model BPE, decoder ByteLevel), but is: ${found}; ${BY_IDS}`,
    );
  }
  const { vocab, merges } = model;
  if (!isVocabulary(vocab)) refuseField('model.vocab', 'must give each token an id');
  if (!Array.isArray(merges)) refuseField('model.merges', 'must be a list');
  if (!Array.isArray(added) || !added.every(isAddedToken))
    refuseField('added_tokens', 'must be tokens with content and id');
  for (const field of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'] as const) {
    if (model[field]) refuseField(`model.${field}`, 'is not supported; only null, 0 and an empty text are');
  }
  const missing = missingBytes(vocab);
  if ([...missing].some((byte) => !isRare(byte))) {
    refuseField('model.vocab', `lacks ${missing.size} of the 256 single bytes: it cannot write every text`);
  }
  if (missing.size > 0 && (model.unk_token ?? null) !== null) {
    refuseField(
      'model.unk_token',
      `is set and would stand for the ${missing.size} bytes that have no token: not supported`,
    );
  }
  checkMerges(merges, vocab);
  return { ...(json as TokenizerJson), added_tokens: renumber(added, vocab) };
}

/** Bytes that have no token. A text loses them, as with Hugging Face's library. */
export function missingBytes(vocab: TokenizerJson['model']['vocab']): ReadonlySet<number> {
  return new Set(
    [...byteOfCharacter].filter(([character]) => !Object.hasOwn(vocab, character)).map(([, byte]) => byte),
  );
}

/** Whether a byte is of control characters, or of no assigned character: trained vocabularies lack some of them. */
function isRare(byte: number): boolean {
  const isControl = (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) || byte === 0x7f;
  return isControl || byte === 0xc0 || byte === 0xc1 || byte === 0xf1 || byte === 0xf2 || byte > 0xf4;
}

/** All pairs or all texts, as the first is; what is merged, and what comes of it, are tokens. A text may be the line of a version instead. */
function checkMerges(merges: readonly unknown[], vocab: Readonly<Record<string, number>>): void {
  const arePairs = Array.isArray(merges[0]);
  const isToken = (token: unknown): boolean => typeof token === 'string' && Object.hasOwn(vocab, token);
  merges.forEach((merge, i) => {
    if (!arePairs && typeof merge === 'string' && merge.startsWith('#version')) return;
    const pair: unknown = !arePairs && typeof merge === 'string' ? merge.split(' ') : arePairs && merge;
    const isPair = Array.isArray(pair) && pair.length === 2 && pair.every(isToken) && isToken(pair.join(''));
    if (!isPair) refuseField(`model.merges[${i}]`, 'is not two tokens that make a third, all of them in model.vocab');
  });
}

/**
 * The tokens with the ids that Hugging Face's library gives them, whatever the file says: the vocabulary's, else the next free ones. Of
 * several with one content the first counts.
 */
function renumber(added: readonly AddedToken[], vocab: Readonly<Record<string, number>>): AddedToken[] {
  let next = Object.keys(vocab).length;
  const first = new Map([...added].reverse().map((token) => [token.content, token]));
  return [...first.values()].reverse().map((token) => {
    const id = Object.hasOwn(vocab, token.content) ? (vocab[token.content] as number) : next;
    next = Math.max(next, id + 1);
    return { ...token, id };
  });
}

function isVocabulary(vocab: unknown): vocab is Record<string, number> {
  return typeof vocab === 'object' && vocab !== null && Object.values(vocab).every(isId);
}

function isAddedToken(token: unknown): token is AddedToken {
  const { id, content } = (token ?? {}) as Partial<AddedToken>;
  return isId(id) && typeof content === 'string';
}

function isId(id: unknown): id is number {
  return Number.isSafeInteger(id) && (id as number) >= 0;
}
