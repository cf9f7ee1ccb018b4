import type { SourceEncoder, SourceEncoding } from '../../src/engine/runner.js';
import { CROSS, ENCODER, type PrefixKv } from '../../src/prefix/kv.js';
import { mix } from './mix.js';

/** Numbers in a row of a fake's virtual tokens, and in an input embedding. */
export const KV_WIDTH = 4;

/** Layers of a fake's encoder. */
const LAYERS = 2;

/** One number for each row of virtual tokens. */
export function hashRows(rows: Float32Array): Uint32Array {
  return Uint32Array.from({ length: rows.length / KV_WIDTH }, (_, i) => {
    const values = rows.subarray(i * KV_WIDTH, (i + 1) * KV_WIDTH);
    return values.reduce((hash, value) => mix(hash, Math.round(value * 1e6)), 7);
  });
}

interface FakeSourceOptions {
  readonly slots: number;
  readonly vocabularySize: number;
  readonly maxTokens: number;
}

type Exclusively = <T>(call: () => T | Promise<T>) => Promise<T>;

/** What tokens see of a source: a number for each virtual token, then for each token, which depends on all of the source. */
export class FakeSources implements SourceEncoder {
  readonly maxTokens: number;
  readonly width = KV_WIDTH;
  /** Sources whose encoding began. */
  numBegun = 0;
  /** Encodings that were neither finished nor disposed of. */
  numOpen = 0;
  /** Most tokens that each piece so far was allowed. */
  readonly pieces: number[] = [];
  /** Awaited before each piece; a test throws from it or waits in it. */
  beforePiece: () => Promise<void> | void = () => undefined;
  /** By source slot; undefined: never encoded, or being encoded. */
  readonly #encoded: (Uint32Array | undefined)[];

  constructor(
    private readonly options: FakeSourceOptions,
    private readonly exclusively: Exclusively,
  ) {
    this.maxTokens = options.maxTokens;
    this.#encoded = Array.from({ length: options.slots }, () => undefined);
  }

  /** @throws RangeError for a slot without an encoded source */
  read(slot: number | undefined): Uint32Array {
    const encoded = slot === undefined ? undefined : this.#encoded[slot];
    if (encoded === undefined) throw new RangeError(`no source is encoded in slot ${String(slot)}`);
    return encoded;
  }

  begin(slot: number, source: readonly number[], prefix?: PrefixKv): SourceEncoding {
    const { slots, vocabularySize } = this.options;
    if (!Number.isInteger(slot) || slot < 0 || slot >= slots) throw new RangeError(`source slot ${slot}`);
    const embeddings = hashRows(prefix?.sourceEmbeddings ?? new Float32Array(0));
    const length = embeddings.length + source.length;
    if (source.length === 0 || length > this.maxTokens) throw new RangeError(`a source of ${length} tokens`);
    for (const id of source) {
      if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) throw new RangeError(`token ${id}`);
    }
    this.#encoded[slot] = undefined;
    this.numBegun++;
    this.numOpen++;
    const rowsOf = (site: string): Uint32Array => hashRows(prefix?.rows.get(site) ?? new Float32Array(0));
    const input = [...embeddings, ...source];
    const all = [...rowsOf(ENCODER), 3, ...input].reduce(mix, 11);
    const encoded = Uint32Array.from([...rowsOf(CROSS), ...input.map((token, at) => mix(mix(all, token), at))]);
    return this.#encode(slot, length, encoded);
  }

  #encode(slot: number, length: number, encoded: Uint32Array): SourceEncoding {
    let numComputed = 0;
    let isOpen = true;
    return {
      advance: (maxTokens) =>
        this.exclusively(async () => {
          if (!isOpen) throw new Error('the encoding is over');
          if (!(maxTokens >= 1)) throw new RangeError(`a piece of ${maxTokens} tokens`);
          this.pieces.push(maxTokens);
          await this.beforePiece();
          numComputed += Math.min(maxTokens, length - (numComputed % length));
          if (numComputed < LAYERS * length) return false;
          this.#encoded[slot] = encoded;
          return true;
        }),
      dispose: () => {
        if (isOpen) this.numOpen--;
        isOpen = false;
      },
    };
  }
}
