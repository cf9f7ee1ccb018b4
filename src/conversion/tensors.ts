import { decodeFloats, type Dtype, parseSafetensors, SafetensorsError } from '../safetensors/index.js';
import { ConversionError, shown } from './errors.js';

/** A tensor of a file that is converted. */
export interface SourceTensor {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** The elements, row by row: a view of the file. */
  readonly bytes: Uint8Array;
}

/** The tensors of a file by name. */
export type SourceTensors = ReadonlyMap<string, SourceTensor>;

/** The tensors of a safetensors file. Throws ConversionError for a damaged file, and for a tensor that is not F32, F16, BF16 or F64. */
export function readSafetensorsFile(file: Uint8Array): SourceTensors {
  const { tensors, others } = parse(file);
  for (const [name, dtype] of others) {
    throw new ConversionError(`the tensor ${shown(name)} is ${dtype}; F32, F16, BF16 and F64 are accepted`);
  }
  return new Map(
    [...tensors].map(([name, { shape, dtype, begin, end }]) => [
      name,
      { shape, dtype, bytes: file.subarray(begin, end) },
    ]),
  );
}

function parse(file: Uint8Array): ReturnType<typeof parseSafetensors> {
  try {
    return parseSafetensors(file);
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    throw new ConversionError(error.message, { cause: error });
  }
}

/** Decodes the tensor's values, row by row. Throws ConversionError, naming it, for another shape than `[expected]`. */
export function valuesOf(tensors: SourceTensors, name: string, ...expected: readonly number[]): Float32Array {
  const { shape, dtype, bytes } = tensorNamed(tensors, name);
  if (shape.length !== expected.length || shape.some((dim, i) => dim !== expected[i])) {
    throw new ConversionError(`${name}: [${shape.join(', ')}]; must be [${expected.join(', ')}]`);
  }
  return decodeFloats(bytes, dtype);
}

/** The tensor's rows and columns. Throws ConversionError for one that is no matrix, or is empty. */
export function matrixShape(tensors: SourceTensors, name: string): readonly [rows: number, columns: number] {
  const { shape } = tensorNamed(tensors, name);
  const [rows = 0, columns = 0] = shape;
  if (shape.length === 2 && rows > 0 && columns > 0) return [rows, columns];
  throw new ConversionError(`${name}: [${shape.join(', ')}]; must be a matrix`);
}

/** Whether two tensors have the same shape and the same bits. */
export function areEqual(one: SourceTensor, other: SourceTensor): boolean {
  return (
    one.dtype === other.dtype &&
    one.shape.join() === other.shape.join() &&
    Buffer.from(one.bytes.buffer, one.bytes.byteOffset, one.bytes.length).equals(other.bytes)
  );
}

function tensorNamed(tensors: SourceTensors, name: string): SourceTensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new ConversionError(`the tensor ${name} is missing`);
  return tensor;
}
