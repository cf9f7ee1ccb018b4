import * as library from '@huggingface/tokenizers';

import { refuseField } from './tokenizer-error.js';
import { matchable } from './unicode.js';

/** A pattern of `tokenizer.json`: an expression in Oniguruma's language, or the text itself. */
export interface PatternJson {
  readonly Regex?: string;
  readonly String?: string;
}

/** The library's port of a pattern is in this part of it. */
const { SplitPreTokenizer } = library as unknown as {
  readonly SplitPreTokenizer: new (config: object) => { readonly pattern: RegExp | null };
};

/** A run of a text, and whether it matches a pattern. */
export interface Run {
  readonly text: string;
  readonly isMatch: boolean;
}

/** A pattern as Hugging Face's tokenizers match it. */
export class Pattern {
  readonly #expression: RegExp;

  /** @throws TokenizerError naming the field for a pattern that cannot be matched here */
  constructor(pattern: PatternJson | undefined, field: string) {
    this.#expression = compile(pattern, field);
  }

  /** The text's runs in order, those that match and those between. Empty matches are left out. */
  runs(text: string): Run[] {
    const runs: Run[] = [];
    let from = 0;
    const push = (end: number, isMatch: boolean): void => {
      if (from < end) runs.push({ text: text.slice(from, end), isMatch });
      from = end;
    };
    for (const match of matchable(text).matchAll(this.#expression)) {
      if (isInPair(text, match.index)) continue; // where lookbehind finds no character, but half of one
      push(match.index, false);
      push(match.index + match[0].length, true);
    }
    push(text.length, false);
    return runs;
  }
}

/** A regular expression's text that matches a text itself. */
export function escaped(text: string): string {
  return text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}

/** Whether an index is between the two surrogates of a character. */
function isInPair(text: string, index: number): boolean {
  return index > 0 && (text.codePointAt(index - 1) ?? 0) > 0xffff;
}

function compile(pattern: PatternJson | undefined, field: string): RegExp {
  const { Regex: expression, String: literal } = pattern ?? {};
  if (typeof literal === 'string' && literal !== '') return new RegExp(escaped(literal), 'gu');
  if (typeof expression !== 'string') refuseField(field, 'has neither a Regex nor a String');
  try {
    const ported = new SplitPreTokenizer({ pattern: { Regex: expression } }).pattern;
    if (ported) return ported;
  } catch (error) {
    refuseField(field, `cannot be matched here: ${(error as Error).message}`);
  }
  return refuseField(field, 'cannot be matched here');
}
