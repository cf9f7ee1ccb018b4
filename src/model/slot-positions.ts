import type { ModelShape } from '../prefix/kv.js';

/**
 * Positions of a KV slot, and of a source slot. Virtual tokens of an encoder-decoder take none of the positions of its tokens, so there
 * is room for a context of each; memory is committed as it is used. A decoder-only model has no source slots.
 */
export function slotPositions({ contextLength, sourceLength }: ModelShape): { decoder: number; cross: number } {
  if (sourceLength === undefined) return { decoder: contextLength, cross: 0 };
  return { decoder: 2 * contextLength, cross: contextLength + sourceLength };
}
