import fs from 'node:fs/promises';

import type { Matrix } from '../architecture.js';
import { CheckpointError } from '../checkpoint-error.js';
import { toFloat16 } from './float16.js';
import type { WeightPrecision } from '../precision.js';
import { BITS, type Bits, quantizedNames, quantizedShapes, quantizeRows } from './quantize.js';
import { byteLength, bytesOf, layOut, type WeightSpan, type WeightSpec } from '../weights.js';

/** Elements read and converted at once, where a weight can be converted in pieces. */
const PIECE = 1 << 20;

export type DerivedPrecision = Exclude<WeightPrecision, 'float32'>;

type MatrixOf = (weight: WeightSpec) => Matrix | undefined;

export interface DeriveOptions {
  /** A float32 `weights.bin`, which is only read, and its weights. */
  readonly source: string;
  readonly sourceWeights: readonly WeightSpan[];
  /** The matrix product that a weight belongs to; undefined where it belongs to none. */
  readonly matrixOf: MatrixOf;
  readonly precision: DerivedPrecision;
  /** The file that is written; it must not exist. */
  readonly target: string;
  readonly onProgress?: ((written: number, total: number) => void) | undefined;
}

/**
 * Writes a model's weights in another precision, one weight at a time, and returns where each lies.
 * float16: all of them. int8 and int4: the matrices of linear layers and the head, which makes a tied head's a weight of
 * its own; embeddings, norms and biases stay float32.
 */
export async function deriveWeights(options: DeriveOptions): Promise<{ spans: WeightSpan[]; bytes: number }> {
  const { matrixOf, precision, sourceWeights, onProgress } = options;
  const layout = layOut(sourceWeights.flatMap((spec) => derivedSpecs(spec, matrixOf(spec), precision)));
  const source = await fs.open(options.source, 'r');
  try {
    const target = await fs.open(options.target, 'wx');
    try {
      await target.truncate(layout.bytes);
      const writer = new DerivedWriter(source, target, layout.spans, precision);
      for (const weight of sourceWeights) {
        await writer.write(weight, matrixOf(weight));
        onProgress?.(writer.written, layout.bytes);
      }
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  return layout;
}

/** The weights that a float32 weight becomes. */
function derivedSpecs(spec: WeightSpec, matrix: Matrix | undefined, precision: DerivedPrecision): WeightSpec[] {
  if (precision === 'float16') return [{ ...spec, type: 'float16' }];
  if (matrix === undefined) return [spec];
  const names = quantizedNames(matrix.name);
  const shapes = quantizedShapes(matrix.inputs, matrix.outputs, BITS[precision]);
  return [
    ...(matrix.isEmbedding ? [spec] : []),
    { name: names.values, shape: shapes.values, type: 'uint8' },
    { name: names.scales, shape: shapes.scales },
  ];
}

/** Reads float32 weights from one file and writes their derived forms to another. */
class DerivedWriter {
  /** Bytes so far. */
  written = 0;
  readonly #targets: ReadonlyMap<string, WeightSpan>;

  constructor(
    private readonly source: fs.FileHandle,
    private readonly target: fs.FileHandle,
    targets: readonly WeightSpan[],
    private readonly precision: DerivedPrecision,
  ) {
    this.#targets = new Map(targets.map((span) => [span.name, span]));
  }

  async write(weight: WeightSpan, matrix: Matrix | undefined): Promise<void> {
    if (this.precision === 'float16') return this.#convert(weight, (values) => halves(weight.name, values));
    if (matrix === undefined || matrix.isEmbedding) await this.#convert(weight, (values) => values);
    if (matrix !== undefined) await this.#quantize(weight, matrix, BITS[this.precision]);
  }

  async #convert(weight: WeightSpan, convert: (values: Float32Array) => NodeJS.TypedArray): Promise<void> {
    const count = byteLength({ ...weight, type: 'float32' }) / 4;
    for (let first = 0, at = 0; first < count; first += PIECE) {
      const bytes = bytesOf(convert(await this.#read(weight, first, Math.min(PIECE, count - first))));
      await this.#write(weight.name, at, bytes);
      at += bytes.length;
    }
  }

  /** A linear layer's matrix at once; one of a whole vocabulary in pieces of some outputs. */
  async #quantize(weight: WeightSpan, matrix: Matrix, bits: Bits): Promise<void> {
    const { inputs, outputs, outputsFirst } = matrix;
    const names = quantizedNames(matrix.name);
    const pieceOutputs = outputsFirst ? Math.max(1, Math.floor(PIECE / inputs)) : outputs;
    const [inputStride, outputStride] = outputsFirst ? [1, inputs] : [outputs, 1];
    for (let first = 0, values = 0, scales = 0; first < outputs; first += pieceOutputs) {
      const count = Math.min(pieceOutputs, outputs - first);
      const source = await this.#read(weight, first * outputStride, count * inputs);
      const piece = quantizeRows(source, { inputs, outputs: count, inputStride, outputStride }, bits);
      await this.#write(names.values, values, piece.values);
      await this.#write(names.scales, scales, bytesOf(piece.scales));
      values += piece.values.byteLength;
      scales += piece.scales.byteLength;
    }
  }

  /** Elements of a weight in the source. */
  async #read({ name, offset }: WeightSpan, first: number, count: number): Promise<Float32Array> {
    const values = new Float32Array(count);
    const bytes = bytesOf(values);
    for (let at = 0; at < bytes.length;) {
      const position = offset + first * 4 + at;
      const { bytesRead } = await this.source.read(bytes, at, bytes.length - at, position);
      if (bytesRead === 0) throw new CheckpointError(`weights.bin ended within ${name}`);
      at += bytesRead;
    }
    return values;
  }

  async #write(name: string, at: number, bytes: Uint8Array): Promise<void> {
    const target = this.#targets.get(name);
    if (target === undefined) throw new Error(`${name} is no weight of the target`);
    const { bytesWritten } = await this.target.write(bytes, 0, bytes.length, target.offset + at);
    if (bytesWritten !== bytes.length) throw new Error(`${name}: ${bytesWritten} of ${bytes.length} bytes written`);
    this.written += bytes.length;
  }
}

function halves(name: string, values: Float32Array): Uint16Array {
  try {
    return toFloat16(values);
  } catch (error) {
    throw new CheckpointError(`float16 cannot hold ${name}: ${(error as Error).message}`, 'weights');
  }
}
