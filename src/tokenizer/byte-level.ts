import * as library from '@huggingface/tokenizers';

import type { AddedToken } from './added-tokens.js';
import { byteOfCharacter, toBytes, toCharacters } from './byte-alphabet.js';
import type { SizeBounds } from './token-bound.js';
import type { TokenModel } from './token-model.js';
import { refuseField } from './tokenizer-error.js';
import { type BpeJson, checkMerges } from './tokenizer-json.js';

/**
 * The part of the library's class in use. (The library's own declarations do not resolve under Node's module
 * resolution.)
 */
interface Bpe {
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly vocab: readonly (string | undefined)[];
  encode(pieces: readonly string[]): readonly string[];
}

const { BPE } = library as unknown as { readonly BPE: new (model: BpeJson) => Bpe };

const encoder = new TextEncoder();

/** GPT-2's byte-level BPE: tokens are written in an alphabet of bytes, as the pre-tokenizer writes pieces. */
export class ByteLevelModel implements TokenModel {
  readonly largestId: number;
  readonly leadingSpaces = 0;
  readonly joinsWords = false;
  readonly sizes: SizeBounds;
  readonly #bpe: Bpe;
  readonly #tokens: readonly string[];

  /** @throws TokenizerError when it cannot write every text of assigned characters */
  constructor(model: BpeJson) {
    const missing = missingBytes(model.vocab);
    checkMissing(missing, model);
    checkMerges(model);
    this.#bpe = new BPE(model);
    this.#tokens = Object.keys(model.vocab);
    this.largestId = Object.values(model.vocab).reduce((largest, id) => Math.max(largest, id), 0);
    this.sizes = {
      longest: this.#tokens.reduce((longest, { length }) => Math.max(longest, length), 1),
      sizeOf: (text) => writtenBytes(text, missing),
    };
  }

  idOf(token: string): number | undefined {
    return this.#bpe.tokens_to_ids.get(token);
  }

  encode(pieces: readonly string[], ids: number[]): void {
    for (const token of this.#bpe.encode(pieces)) {
      const id = this.idOf(token);
      if (id !== undefined) ids.push(id);
    }
  }

  /** A token that is not written in the alphabet stands for its own characters. */
  bytesOf(id: number): Uint8Array {
    const token = this.#bpe.vocab[id] ?? '';
    return toBytes(token) ?? encoder.encode(token);
  }

  addedBytes(content: string): Uint8Array {
    return encoder.encode(content);
  }

  /** Those of tokens with a lower id. Tokens in the alphabet all differ: one of two is not, or is added. */
  namesakes(added: readonly AddedToken[]): ReadonlySet<number> {
    const written = this.#tokens
      .filter((token) => toBytes(token) === undefined)
      .map((token) => ({ content: token, id: this.idOf(token) ?? 0 }));
    const addedIds = new Set(added.map(({ id }) => id));
    const ids = new Map<string, Set<number>>();
    for (const { content, id } of [...added, ...written.filter((token) => !addedIds.has(token.id))]) {
      const own = ids.get(content) ?? new Set();
      const other = this.idOf(toCharacters(content));
      if (other !== undefined && !addedIds.has(other)) own.add(other);
      ids.set(content, own.add(id));
    }
    const namesakes = [...ids.values()].flatMap((same) => [...same].sort((a, b) => a - b).slice(1));
    return new Set(namesakes);
  }
}

/** Bytes that have no token. A text loses them, as with Hugging Face's library. */
function missingBytes(vocab: BpeJson['vocab']): ReadonlySet<number> {
  return new Set(
    [...byteOfCharacter].filter(([character]) => !Object.hasOwn(vocab, character)).map(([, byte]) => byte),
  );
}

function checkMissing(missing: ReadonlySet<number>, model: BpeJson): void {
  if ([...missing].some((byte) => !isRare(byte))) {
    refuseField('model.vocab', `lacks ${missing.size} of the 256 single bytes: it cannot write every text`);
  }
  if (missing.size > 0 && (model.unk_token ?? null) !== null) {
    refuseField(
      'model.unk_token',
      `is set and would stand for the ${missing.size} bytes that have no token: not supported`,
    );
  }
}

/** Whether a byte is of control characters, or of no assigned character: trained vocabularies lack some of them. */
function isRare(byte: number): boolean {
  const isControl = (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) || byte === 0x7f;
  return isControl || byte === 0xc0 || byte === 0xc1 || byte === 0xf1 || byte === 0xf2 || byte > 0xf4;
}

/** Bytes of a text that have tokens. */
function writtenBytes(text: string, missing: ReadonlySet<number>): number {
  if (missing.size === 0) return Buffer.byteLength(text);
  return Buffer.from(text).reduce((count, byte) => count + (missing.has(byte) ? 0 : 1), 0);
}
