import type { IndexInput } from './batch-inputs.js';

/**
 * Indices with which packed tokens, N of them row after row, are padded to B rows of T for attention, and unpadded again. Everything else
 * computes with packed tokens, so padding costs nothing there. Indices of pieces, one head's part of a token each. `parts` tensors lie side
 * by side in a packed row: queries, keys and values, or one of them.
 */
export interface Padding {
  /**
   * [parts, B, heads, T], without the first where it is 1: which of packed [N, parts, heads] comes where. Padding takes the first
   * token's: nobody sees it.
   */
  readonly pad: IndexInput;
  /** [N * parts * heads]: which of [parts, B, heads, T] brings a piece's gradient back. */
  readonly padBack: IndexInput;
  /** [N, heads]: which of the attended [B, heads, T] comes where. */
  readonly unpad: IndexInput;
  /** [B * heads * T]: which of [N, heads] brings a piece's gradient back; padding gets what stands behind them, zeros. */
  readonly unpadBack: IndexInput;
}

/** @param lengths tokens of each row; the longest is T */
export function makePadding(lengths: readonly number[], heads: number, parts: number): Padding {
  const width = Math.max(...lengths);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const pieces = lengths.length * heads * width;
  const pad = new Int32Array(parts * pieces);
  const padBack = new Int32Array(tokens * parts * heads);
  const unpad = new Int32Array(tokens * heads);
  const unpadBack = new Int32Array(pieces).fill(tokens * heads);
  let token = 0;
  lengths.forEach((length, row) => {
    for (let t = 0; t < length; t++, token++) {
      for (let head = 0; head < heads; head++) {
        const padded = (row * heads + head) * width + t;
        unpad[token * heads + head] = padded;
        unpadBack[padded] = token * heads + head;
        for (let part = 0; part < parts; part++) {
          const packed = (token * parts + part) * heads + head;
          pad[part * pieces + padded] = packed;
          padBack[packed] = part * pieces + padded;
        }
      }
    }
  });
  const padded = [lengths.length, heads, width];
  return {
    pad: { data: pad, shape: parts === 1 ? padded : [parts, ...padded] },
    padBack: { data: padBack, shape: [padBack.length] },
    unpad: { data: unpad, shape: [tokens, heads] },
    unpadBack: { data: unpadBack, shape: [unpadBack.length] },
  };
}
