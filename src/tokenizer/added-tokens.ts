import { endsWithWord, isSpaceAt, startsWithWord } from './unicode.js';

/** A token of `tokenizer.json` beside the vocabulary, which is found in a text before anything else is done with it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is a token only where it does not touch a word. */
  readonly single_word?: boolean;
  /** Whether the white space before it is dropped. */
  readonly lstrip?: boolean;
  /** Whether the white space behind it is dropped. */
  readonly rstrip?: boolean;
  /** Whether it is looked for in the normalized text; unless it is special, where it is left out. */
  readonly normalized?: boolean;
  readonly special?: boolean;
}

/** Whether a token is looked for behind the normalizer. */
export function isNormalized({ normalized, special }: AddedToken): boolean {
  return normalized ?? !special;
}

interface Node {
  readonly next: Map<number, Node>;
  token: AddedToken | undefined;
}

interface Match {
  readonly token: AddedToken;
  readonly start: number;
  readonly end: number;
}

/** A set of added tokens that texts are split by, as Hugging Face's `AddedVocabulary` does. */
export class AddedTokens {
  readonly #root: Node = { next: new Map(), token: undefined };

  /** @param contentOf what is looked for; the token's content unless given */
  constructor(tokens: readonly AddedToken[], contentOf = ({ content }: AddedToken): string => content) {
    for (const token of tokens) this.#add(contentOf(token), token);
  }

  /** The text between tokens, and the ids of the tokens, in order. Of several tokens at one place the longest counts. */
  split(text: string): (string | number)[] {
    const pieces: (string | number)[] = [];
    let from = 0;
    let spaceEnd = 0;
    for (const { token, start, end } of this.#matches(text)) {
      const { single_word: isWord, lstrip, rstrip, id } = token;
      if (isWord && (endsWithWord(text.slice(0, start)) || startsWithWord(text.slice(end)))) continue;
      const first = lstrip ? startOfSpace(text, start, from) : start;
      if (from < first) pieces.push(text.slice(from, first));
      pieces.push(id);
      from = end;
      if (rstrip) from = spaceEnd = endOfSpace(text, Math.max(end, spaceEnd));
    }
    if (from < text.length) pieces.push(text.slice(from));
    return pieces;
  }

  #add(content: string, token: AddedToken): void {
    if (content === '') return;
    let node = this.#root;
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      const next = node.next.get(unit) ?? { next: new Map(), token: undefined };
      node.next.set(unit, next);
      node = next;
    }
    node.token = token;
  }

  /** Matches that do not overlap, from the left, each the longest at its place. */
  *#matches(text: string): Generator<Match> {
    for (let start = 0; start < text.length;) {
      const match = this.#longestAt(text, start);
      if (match) yield match;
      start = match?.end ?? start + 1;
    }
  }

  #longestAt(text: string, start: number): Match | undefined {
    let match: Match | undefined;
    let node: Node | undefined = this.#root;
    for (let at = start; node; at++) {
      if (node.token) match = { token: node.token, start, end: at };
      node = at < text.length ? node.next.get(text.charCodeAt(at)) : undefined;
    }
    return match;
  }
}

/** Start of the white space before `end`, or `least` if that is further right. */
function startOfSpace(text: string, end: number, least: number): number {
  let start = end;
  while (start > least && isSpaceAt(text, start - 1)) start--;
  return Math.max(start, least);
}

function endOfSpace(text: string, start: number): number {
  let end = start;
  while (end < text.length && isSpaceAt(text, end)) end++;
  return end;
}
