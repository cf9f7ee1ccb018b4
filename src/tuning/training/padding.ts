import type { IndexInput } from './batch-inputs.js';

/**
 * Indices with which packed tokens, N of them row after row, are padded to B rows of T for attention, and unpadded again. Everything else
 * computes with packed tokens, so padding costs nothing there. Indices of pieces, one head's part of a token each. H are the heads of keys
 * and values, Q the heads of queries that share one. `parts` are the pieces of a packed token for each of H: Q and, where they lie behind
 * the queries, its key and its value.
 */
export interface Padding {
  /**
   * [B, H, parts, T], without `parts` where it is 1: which of packed [N, parts * H] comes where. Padding takes the first token's: nobody
   * sees it.
   */
  readonly pad: IndexInput;
  /** [N * parts * H]: which of [B, H, parts, T] brings a piece's gradient back. */
  readonly padBack: IndexInput;
  /** [N, H * Q]: which of the attended [B, H, Q, T] comes where. */
  readonly unpad: IndexInput;
  /** [B * H * Q * T]: which of [N, H * Q] brings a piece's gradient back; padding gets what stands behind them, zeros. */
  readonly unpadBack: IndexInput;
}

/** What a packed token consists of. */
interface PackedHeads {
  /** Heads of keys and values, H. */
  readonly heads: number;
  /** Heads of queries that share one, Q; 1 unless given. */
  readonly queries?: number;
  /** Whether keys and values lie behind the queries. */
  readonly hasKeys: boolean;
}

/** @param lengths tokens of each row; the longest is T */
export function makePadding(lengths: readonly number[], { heads, queries = 1, hasKeys }: PackedHeads): Padding {
  const width = Math.max(...lengths);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const parts = queries + (hasKeys ? 2 : 0);
  const pad = new Int32Array(lengths.length * heads * parts * width);
  const padBack = new Int32Array(tokens * heads * parts);
  const unpad = new Int32Array(tokens * heads * queries);
  const unpadBack = new Int32Array(lengths.length * heads * queries * width).fill(tokens * heads * queries);
  let token = 0;
  lengths.forEach((length, row) => {
    for (let t = 0; t < length; t++, token++) {
      for (let head = 0; head < heads; head++) {
        const group = row * heads + head;
        for (let part = 0; part < parts; part++) {
          const padded = (group * parts + part) * width + t;
          const packed = token * heads * parts + (part < queries ? head * queries + part : part * heads + head);
          pad[padded] = packed;
          padBack[packed] = padded;
        }
        for (let query = 0; query < queries; query++) {
          const padded = (group * queries + query) * width + t;
          const packed = (token * heads + head) * queries + query;
          unpad[packed] = padded;
          unpadBack[padded] = packed;
        }
      }
    }
  });
  const dims = parts === 1 ? [lengths.length, heads, width] : [lengths.length, heads, parts, width];
  return {
    pad: { data: pad, shape: dims },
    padBack: { data: padBack, shape: [padBack.length] },
    unpad: { data: unpad, shape: [tokens, heads * queries] },
    unpadBack: { data: unpadBack, shape: [unpadBack.length] },
  };
}
