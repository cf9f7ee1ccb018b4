import type { AddedToken } from './added-tokens.js';
import type { FallbackDecoding } from './decoder.js';
import { MergeTable } from './merges.js';
import type { SizeBounds } from './token-bound.js';
import type { TokenModel } from './token-model.js';
import { refuseField } from './tokenizer-error.js';
import { type BpeJson, checkMerges, pairOf } from './tokenizer-json.js';

const BYTES = 256;
/** More than any vocabulary has; pairs of ids, and ranks of merges with places, fit into a double. */
const MAX_ENTRIES = 2 ** 21;
const NONE = -1;
/** More than the code points that there are. */
const POINTS = 2 ** 21;
const encoder = new TextEncoder();
const byteToken = /^<0x([0-9A-Fa-f]{2})>$/;
const surrogates = /\p{Surrogate}/gu;

/**
 * A BPE over characters as SentencePiece trains it, for Llama 2 and Mistral: a character that has no token is written as the tokens of
 * its bytes.
 */
export class ByteFallbackModel implements TokenModel {
  readonly largestId: number;
  readonly leadingSpaces: number;
  readonly joinsWords: boolean;
  readonly sizes: SizeBounds;
  /** What stands for a space in a token. */
  readonly space: string;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #tokens: ReadonlyMap<number, string>;
  readonly #byteIds: readonly number[];
  readonly #merges: MergeTable;
  /** Pairs of neighbouring characters that some merge has in it: between all others a text can be cut. Undefined: nowhere. */
  readonly #joined: ReadonlySet<number> | undefined;
  readonly #takesWhole: boolean;

  /** @throws TokenizerError when a byte has no token */
  constructor(model: BpeJson, { space, leadingSpaces }: FallbackDecoding) {
    const { vocab, ignore_merges: takesWhole = false } = model;
    if (model.merges.length > MAX_ENTRIES) refuseField('model.merges', `has more than ${MAX_ENTRIES} entries`);
    this.space = space;
    this.leadingSpaces = leadingSpaces;
    this.#takesWhole = takesWhole;
    this.#ids = new Map(Object.entries(vocab));
    this.#tokens = new Map([...this.#ids].map(([token, id]) => [id, token]));
    this.largestId = [...this.#ids.values()].reduce((largest, id) => Math.max(largest, id), 0);
    if (this.largestId >= MAX_ENTRIES) refuseField('model.vocab', `has ids beyond ${MAX_ENTRIES}`);
    this.#byteIds = byteIds(this.#ids);
    checkMerges(model);
    const pairs = model.merges.map(pairOf).filter((pair) => pair !== undefined);
    const idOf = (token: string): number => this.#ids.get(token) ?? NONE;
    this.#merges = new MergeTable(pairs.map(([left, right]) => [idOf(left), idOf(right), idOf(left + right)] as const));
    this.#joined = joinedCharacters(pairs);
    const results = pairs.map((pair) => pair.join(''));
    const [first = ''] = space;
    this.joinsWords = this.#joined === undefined || results.some((token) => goesPastWord(token, first));
    const sizeOf = (text: string): number => Buffer.byteLength(this.#written(text));
    this.sizes = {
      longest: [...this.#ids.keys()].reduce((longest, token) => Math.max(longest, sizeOf(token)), 1),
      sizeOf,
    };
  }

  idOf(token: string): number | undefined {
    return this.#ids.get(token);
  }

  encode(pieces: readonly string[], ids: number[]): void {
    for (const piece of pieces) {
      const whole = this.#takesWhole ? this.#ids.get(piece) : undefined;
      if (whole !== undefined) ids.push(whole);
      else this.#encodePiece(piece.replace(surrogates, '\ufffd'), ids);
    }
  }

  bytesOf(id: number): Uint8Array {
    const token = this.#tokens.get(id);
    return token === undefined ? new Uint8Array(0) : this.addedBytes(token);
  }

  addedBytes(content: string): Uint8Array {
    const byte = byteToken.exec(content)?.[1];
    return byte === undefined ? encoder.encode(this.#written(content)) : Uint8Array.of(parseInt(byte, 16));
  }

  /** The token of a byte is named by it only where no other token has that byte; else the lowest id is. */
  namesakes(added: readonly AddedToken[]): ReadonlySet<number> {
    const contents = new Map([...this.#tokens, ...added.map(({ id, content }) => [id, content] as const)]);
    const named = new Map<string, number>();
    const namesakes = new Set<number>();
    const note = (text: string, id: number): void => {
      if (named.has(text)) namesakes.add(id);
      else named.set(text, id);
    };
    const byteTokens: (readonly [number, number])[] = [];
    for (const [id, content] of [...contents].sort(([a], [b]) => a - b)) {
      const byte = byteToken.exec(content)?.[1];
      if (byte !== undefined) byteTokens.push([id, parseInt(byte, 16)]);
      else if (content !== '') note(this.#written(content), id);
    }
    for (const [id, byte] of byteTokens) note(byte < 0x80 ? String.fromCharCode(byte) : `byte ${byte}`, id);
    return namesakes;
  }

  /** Cuts a piece where no merge can reach across, and merges what is between by itself. */
  #encodePiece(piece: string, ids: number[]): void {
    let symbols: number[] = [];
    let before = NONE;
    const take = (): void => {
      for (const id of symbols) ids.push(id);
      symbols = [];
    };
    const flush = (): void => {
      symbols = this.#merges.apply(symbols);
      take();
    };
    for (const character of piece) {
      const point = character.codePointAt(0) ?? 0;
      const id = this.#ids.get(character);
      const isApart = this.#joined !== undefined && (id === undefined || !this.#joined.has(before * POINTS + point));
      if (isApart && symbols.length > 0) flush();
      if (id !== undefined) symbols.push(id);
      else for (const byte of encoder.encode(character)) symbols.push(this.#byteIds[byte] ?? NONE);
      if (isApart && id === undefined) take(); // no byte is merged
      before = point;
    }
    flush();
  }

  /** A text as its tokens write it once they are decoded. */
  #written(text: string): string {
    return text.replaceAll(this.space, ' ');
  }
}

/** The ids of the tokens `<0x00>` to `<0xFF>`. */
function byteIds(ids: ReadonlyMap<string, number>): number[] {
  const found = Array.from({ length: BYTES }, (_, byte) =>
    ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
  const missing = found.filter((id) => id === undefined).length;
  if (missing > 0) {
    refuseField('model.vocab', `lacks ${missing} of the 256 tokens of bytes (<0x00>): it cannot write every text`);
  }
  return found.map((id) => id ?? NONE);
}

/** Undefined where a token of a byte is merged: then characters do not say what is. */
function joinedCharacters(pairs: readonly (readonly [string, string])[]): ReadonlySet<number> | undefined {
  const joined = new Set<number>();
  for (const [left, right] of pairs) {
    if (byteToken.test(left) || byteToken.test(right)) return undefined;
    let before = NONE;
    for (const character of left + right) {
      const point = character.codePointAt(0) ?? 0;
      if (before !== NONE) joined.add(before * POINTS + point);
      before = point;
    }
  }
  return joined;
}

/** Whether a token has a space behind another character. */
function goesPastWord(token: string, space: string): boolean {
  const characters = Array.from(token);
  return characters.some((character, i) => i > 0 && character === space && characters[i - 1] !== space);
}
