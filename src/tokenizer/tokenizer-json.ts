import type { AddedToken } from './added-tokens.js';
import type { Decoder } from './decoder.js';
import type { NormalizerJson } from './normalizer.js';
import type { PreTokenizerJson } from './pre-tokenizer.js';
import { BY_IDS, refuseField, TokenizerError } from './tokenizer-error.js';

/** The merges of a BPE, best first: pairs, or as older files have them two tokens with a space between. */
type Merges = readonly (readonly [string, string])[] | readonly string[];

/** The BPE of a `tokenizer.json`. */
export interface BpeJson {
  readonly type: 'BPE';
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: Merges;
  readonly ignore_merges?: boolean;
  readonly byte_fallback?: boolean;
  readonly unk_token?: string | null;
}

/** The content of `tokenizer.json`, as far as it is read. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer?: NormalizerJson | null;
  readonly pre_tokenizer?: PreTokenizerJson | null;
  readonly post_processor?: object | null;
  readonly decoder: Decoder;
  readonly model: BpeJson;
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
    readonly byte_fallback?: unknown;
    readonly continuing_subword_prefix?: unknown;
    readonly end_of_word_suffix?: unknown;
  } | null;
}

/**
 * Checks the content of `tokenizer.json`.
 * @throws TokenizerError when it is no BPE of a kind that is served, or is not whole
 */
export function checkTokenizerJson(json: object): TokenizerJson {
  const { model, decoder, added_tokens: added = [] } = json as Unchecked;
  if (model?.type !== 'BPE' || decoder?.type === undefined) {
    const found = `model ${String(model?.type)}, decoder ${String(decoder?.type)}`;
    throw new TokenizerError(
      `the tokenizer must be a BPE, byte-level as GPT-2's or with byte fallback as Llama 2's, but is: ${found}; ${BY_IDS}`,
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
  return { ...(json as TokenizerJson), added_tokens: renumber(added, vocab) };
}

/** The two tokens of an entry of `merges`; undefined for the line of a version. */
export function pairOf(merge: readonly [string, string] | string): readonly [string, string] | undefined {
  if (typeof merge !== 'string') return merge;
  return merge.startsWith('#version') ? undefined : (merge.split(' ') as [string, string]);
}

/**
 * Checks the merges of a model: all pairs or all texts, as the first is; what is merged, and what comes of it, are tokens. A text may be the
 * line of a version instead. Throws `TokenizerError` naming the entry.
 */
export function checkMerges({
  merges,
  vocab,
}: {
  readonly merges: readonly unknown[];
  readonly vocab: BpeJson['vocab'];
}): void {
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
