import type { TokenEncoder } from '../../tokenizer/token-encoder.js';
import { SPACE } from '../../tokenizer/unicode.js';
import { invalidValue } from '../errors.js';

/** Most words, those with and without a space counted apart: vLLM's limit. Each is looked at for every token. */
const MAX_WORDS = 128;

const leadingSpace = new RegExp(`^${SPACE}+`, 'u');

/**
 * The tokens of words that are not to be generated, as vLLM has them: of each word as it stands at a text's beginning, and behind a space
 * where that makes another word of as many tokens. Undefined where there are none.
 * @throws CompletionError for a word without tokens, and for too many
 */
export function encodeBadWords(words: readonly string[], encoder: TokenEncoder): number[][] | undefined {
  if (words.length === 0) return undefined;
  const bare = new Set(words.map((word) => word.replace(leadingSpace, '')));
  const encoded = [...bare].flatMap((word) => encodeWord(word, encoder));
  if (encoded.length <= MAX_WORDS) return encoded;
  const message = `'bad_words' are ${encoded.length}, with a space before them and without; at most ${MAX_WORDS} can be kept out.`;
  throw invalidValue('bad_words', message);
}

function encodeWord(word: string, encoder: TokenEncoder): number[][] {
  const plain = encoder.encode(word);
  if (plain.length === 0) throw invalidValue('bad_words', `Each of 'bad_words' must have at least one token.`);
  const spaced = encoder.encode(` ${word}`);
  return spaced[0] !== plain[0] && spaced.length === plain.length ? [plain, spaced] : [plain];
}
