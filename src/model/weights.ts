import { ELEMENT_TYPES, elementCount } from '../runtime/ort/tensor.js';

/** Type of a weight's elements, which are stored little-endian. */
type WeightType = 'float32' | 'float16' | 'uint8' | 'int8';

/** Name and shape of a tensor that the graphs use. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** float32 unless given. */
  readonly type?: WeightType;
}

/** A weight, and where it lies in the compiled weights file. */
export interface WeightSpan extends WeightSpec {
  /** Byte offset in the file. */
  readonly offset: number;
}

/** Alignment of a tensor in the compiled file: a cache line, and more than any vector instruction needs. */
const ALIGNMENT = 64;

/**
 * Lays weights out: first the vectors, then the matrices. Matrices are packed once and not read again; where a vector is read, the system
 * maps much of what is around it. Returns their spans, in the order given, and the file's size in bytes.
 */
export function layOut(specs: readonly WeightSpec[]): { spans: WeightSpan[]; bytes: number } {
  const isVector = ({ shape }: WeightSpec): boolean => shape.length === 1;
  const offsets = new Map<WeightSpec, number>();
  let bytes = 0;
  for (const spec of [...specs.filter(isVector), ...specs.filter((spec) => !isVector(spec))]) {
    offsets.set(spec, bytes);
    bytes = Math.ceil((bytes + byteLength(spec)) / ALIGNMENT) * ALIGNMENT;
  }
  return { spans: specs.map((spec) => ({ ...spec, offset: offsets.get(spec) as number })), bytes };
}

/** Bytes of a weight. */
export function byteLength({ shape, type = 'float32' }: WeightSpec): number {
  return elementCount(shape) * ELEMENT_TYPES[type].bytes;
}

/** The bytes of values, in the same memory. */
export function bytesOf({ buffer, byteOffset, byteLength: bytes }: NodeJS.TypedArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, bytes);
}
