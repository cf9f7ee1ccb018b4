import type { PromptEncoder } from '../../tokenizer/token-encoder.js';
import { type CompletionError, invalidValue } from '../errors.js';
import type { RawPrompt } from '../request/params.js';

/** What is left of a prompt. */
interface Truncation {
  /** Last tokens that are left; -1: as many as there is room for. */
  readonly keeps: number;
  /** Tokens that fit; at least 1. */
  readonly room: number;
}

const FIELD = 'truncate_prompt_tokens';

/** Characters that are tokenized of a text's end: far more than a context has, in some hundredths of a second. */
const MAX_CHARACTERS = 32_768;
/** Among so many of the first of them, the cut finds its place. */
const PLACES = 4096;

/**
 * Encodes the end of prompts. As in Hugging Face's tokenizers, the special tokens around a text stay, and count.
 * @param encode how a text becomes tokens
 * @throws CompletionError for more tokens than there is room for, and from what is returned for a prompt that has no such end
 */
export function truncate(
  { keeps, room }: Truncation,
  encoder: PromptEncoder,
  encode: (text: string) => readonly number[],
): (prompt: RawPrompt) => readonly number[] {
  if (keeps > room)
    throw invalidValue(FIELD, `'${FIELD}' must be at most ${room} here: that is all there is room for.`);
  const count = keeps === -1 ? room : keeps;
  return (prompt) => {
    if (prompt.length === 0) throw emptyPrompt();
    if (typeof prompt !== 'string') return prompt.slice(-count);
    const text = endOf(prompt, encoder);
    const tokens = encode(text);
    if (text.length < prompt.length && tokens.length < count + atCut(text)) throw tooLong(prompt);
    return tokens.length <= count ? tokens : lastOf(tokens, encoder.encode(text), count);
  };
}

/** The refusal of a prompt without a token. */
export function emptyPrompt(): CompletionError {
  return invalidValue('prompt', 'A prompt must have at least one token.');
}

/** A text, or so much of its end that its last tokens are the same: it is cut between two words, where no token goes on. */
function endOf(text: string, { joinsWords = false }: PromptEncoder): string {
  if (text.length <= MAX_CHARACTERS) return text;
  if (joinsWords) throw tooLong(text);
  const end = text.slice(-MAX_CHARACTERS);
  const at = end.slice(0, PLACES).search(/(?<=[\p{L}\p{N}]) (?=[\p{L}\p{N}])/u);
  if (at < 0) throw tooLong(text);
  return end.slice(at);
}

/** Most tokens that a text which was cut may have of its first word: a tokenizer that puts a space before a text may make others of it. */
function atCut(text: string): number {
  const end = text.indexOf(' ', 1);
  return 2 + Buffer.byteLength(end < 0 ? text : text.slice(0, end));
}

function tooLong({ length }: string): CompletionError {
  return invalidValue(
    FIELD,
    `'${FIELD}': a text of ${length} characters is too long to be cut to its end; send less of it.`,
  );
}

/**
 * The last `count` tokens of a text, those around it among them.
 * @param tokens of the text, with those around it
 * @param own of the text alone
 */
function lastOf(tokens: readonly number[], own: readonly number[], count: number): readonly number[] {
  const numAround = tokens.length - own.length;
  if (numAround > count)
    throw invalidValue(FIELD, `'${FIELD}' must be at least ${numAround}: so many special tokens stand around a text.`);
  const before = Array.from({ length: numAround + 1 }, (_, at) => at).find((at) =>
    own.every((id, i) => tokens[at + i] === id),
  );
  if (before === undefined) throw new Error('the special tokens around a text are not around its own tokens');
  const left = own.slice(own.length - (count - numAround));
  return [...tokens.slice(0, before), ...left, ...tokens.slice(before + own.length)];
}
