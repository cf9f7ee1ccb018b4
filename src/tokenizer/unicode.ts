import { unassigned } from './unassigned.js';

// Hugging Face's tokenizers match patterns with Oniguruma and Rust's regex, whose character classes are Unicode 16's. JavaScript's are those
// of the Unicode that Node.js is built with, and its `\s`, `\w` and `trim` are sets of their own.

/** White space, in a class of a regular expression: with U+0085, which JavaScript's `\s` lacks, and without U+FEFF, which it has. */
export const SPACE = '\\p{White_Space}';

const space = new RegExp(`^${SPACE}$`, 'u');
/** As Rust's `\w`. */
const word = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;

/**
 * The text to match patterns against: characters that are newer than Unicode 16 are replaced by noncharacters, which have no property
 * either. Every other character is itself, and stands where it stood.
 */
export function matchable(text: string): string {
  return text.replace(unassigned, ({ length }) => (length === 1 ? '\ufdd0' : '\u{1fffe}'));
}

/** Whether the UTF-16 unit at `index` is white space. */
export function isSpaceAt(text: string, index: number): boolean {
  return space.test(text.charAt(index)); // no white space is beyond U+FFFF
}

/** Whether a text ends with a character of a word. */
export function endsWithWord(text: string): boolean {
  const unit = text.charCodeAt(text.length - 1);
  return word.test(matchable(text.slice(unit >= 0xdc00 && unit <= 0xdfff ? -2 : -1)));
}

/** Whether a text begins with a character of a word. */
export function startsWithWord(text: string): boolean {
  const code = text.codePointAt(0);
  return code !== undefined && word.test(matchable(String.fromCodePoint(code)));
}
