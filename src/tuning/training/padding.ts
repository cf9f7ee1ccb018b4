/** Indices, and the shape of what they make, counted in pieces. */
interface Indices {
  readonly data: Int32Array;
  readonly shape: readonly number[];
}

/**
 * Indices with which packed tokens, N of them row after row, are padded to B rows of T for attention, and unpadded again. Everything else
 * computes with packed tokens, so padding costs nothing there. Indices of pieces, one head's part of a token each.
 */
export interface Padding {
  /** [3, B, heads, T]: which of packed queries, keys and values [N, 3, heads] comes where. Padding takes the first token's: nobody sees it. */
  readonly pad: Indices;
  /** [N * 3 * heads]: which of [3, B, heads, T] brings a piece's gradient back. */
  readonly padBack: Indices;
  /** [N, heads]: which of the attended [B, heads, T] comes where. */
  readonly unpad: Indices;
  /** [B * heads * T]: which of [N, heads] brings a piece's gradient back; padding gets what stands behind them, zeros. */
  readonly unpadBack: Indices;
}

const PARTS = 3;

/** @param lengths tokens of each row; the longest is T */
export function makePadding(lengths: readonly number[], heads: number): Padding {
  const width = Math.max(...lengths);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const pieces = lengths.length * heads * width;
  const pad = new Int32Array(PARTS * pieces);
  const padBack = new Int32Array(tokens * PARTS * heads);
  const unpad = new Int32Array(tokens * heads);
  const unpadBack = new Int32Array(pieces).fill(tokens * heads);
  let token = 0;
  lengths.forEach((length, row) => {
    for (let t = 0; t < length; t++, token++) {
      for (let head = 0; head < heads; head++) {
        const padded = (row * heads + head) * width + t;
        unpad[token * heads + head] = padded;
        unpadBack[padded] = token * heads + head;
        for (let part = 0; part < PARTS; part++) {
          const packed = (token * PARTS + part) * heads + head;
          pad[part * pieces + padded] = packed;
          padBack[packed] = part * pieces + padded;
        }
      }
    }
  });
  return {
    pad: { data: pad, shape: [PARTS, lengths.length, heads, width] },
    padBack: { data: padBack, shape: [padBack.length] },
    unpad: { data: unpad, shape: [tokens, heads] },
    unpadBack: { data: unpadBack, shape: [unpadBack.length] },
  };
}
