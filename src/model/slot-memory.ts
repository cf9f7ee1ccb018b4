import { CROSS, hasEncoder, type ModelShape, rowWidth, siteNamed, slotSite } from '../prefix/kv.js';
import { ELEMENT_TYPES } from '../runtime/ort/tensor.js';
import type { KvPrecision } from './precision.js';

/** The shape of a model of which sequences have at most `maxLength` positions; the model's own unless given. */
export function limitContext(shape: ModelShape, maxLength: number | undefined): ModelShape {
  return { ...shape, contextLength: Math.min(shape.contextLength, maxLength ?? Infinity) };
}

/** Bytes of keys and values of one position of a decoder's sequence. */
export function bytesOfPosition(shape: ModelShape, kv: KvPrecision): number {
  return rowWidth(slotSite(shape)) * ELEMENT_TYPES[kv].bytes;
}

/** Bytes of keys and values of one full slot; in an encoder-decoder without virtual tokens, and with those of a full source slot. */
export function bytesOfSlot(shape: ModelShape, kv: KvPrecision): number {
  const { contextLength, sourceLength = 0 } = shape;
  const source = hasEncoder(shape) ? sourceLength * rowWidth(siteNamed(shape, CROSS)) : 0;
  return contextLength * bytesOfPosition(shape, kv) + source * ELEMENT_TYPES[kv].bytes;
}
