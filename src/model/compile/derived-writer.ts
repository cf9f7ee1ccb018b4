import type fs from 'node:fs/promises';

import type { Matrix } from '../architecture.js';
import { CheckpointError } from '../checkpoint-error.js';
import { toFloat16 } from './float16.js';
import { byteLength, bytesOf, type WeightSpan } from '../weights.js';
import { type Bits, type MatrixLayout, quantizedNames, quantizeRows } from './quantize.js';
import { columnNames, emptyColumns, quantizeColumns, toUnsigned } from './quantize-columns.js';
import type { DerivedForm } from './derived-form.js';

/** Elements read and converted at once, where a weight can be converted in pieces. */
const PIECE = 1 << 20;

/** The float32 weights of some outputs of a matrix. */
interface Piece {
  readonly source: Float32Array;
  readonly layout: MatrixLayout;
  /** Index of the first output. */
  readonly first: number;
}

/** Reads float32 weights from one file and writes their derived forms to another. */
export class DerivedWriter {
  /** Bytes so far. */
  written = 0;
  readonly #targets: ReadonlyMap<string, WeightSpan>;

  constructor(
    private readonly source: fs.FileHandle,
    private readonly target: fs.FileHandle,
    targets: readonly WeightSpan[],
    private readonly form: DerivedForm,
  ) {
    this.#targets = new Map(targets.map((span) => [span.name, span]));
  }

  async write(weight: WeightSpan, matrix: Matrix | undefined): Promise<void> {
    const { form } = this;
    if (form.kind === 'float16') return this.#convert(weight, (values) => halves(weight.name, values));
    if (matrix === undefined || matrix.isEmbedding) await this.#convert(weight, (values) => values);
    if (matrix === undefined) return;
    if (form.kind === 'blocks') await this.#writeBlocks(weight, matrix, form.bits);
    else await this.#writeColumns(weight, matrix, form.isSigned);
  }

  async #convert(weight: WeightSpan, convert: (values: Float32Array) => NodeJS.TypedArray): Promise<void> {
    const count = byteLength({ ...weight, type: 'float32' }) / 4;
    for (let first = 0, at = 0; first < count; first += PIECE) {
      const bytes = bytesOf(convert(await this.#read(weight, first, Math.min(PIECE, count - first))));
      await this.#write(weight.name, at, bytes);
      at += bytes.length;
    }
  }

  async #writeBlocks(weight: WeightSpan, matrix: Matrix, bits: Bits): Promise<void> {
    const names = quantizedNames(matrix.name);
    let [values, scales] = [0, 0];
    for await (const { source, layout } of this.#pieces(weight, matrix)) {
      const piece = quantizeRows(source, layout, bits);
      await this.#write(names.values, values, piece.values);
      await this.#write(names.scales, scales, bytesOf(piece.scales));
      values += piece.values.byteLength;
      scales += piece.scales.byteLength;
    }
  }

  async #writeColumns(weight: WeightSpan, matrix: Matrix, isSigned: boolean): Promise<void> {
    const names = columnNames(matrix.name);
    const columns = emptyColumns(matrix.inputs, matrix.outputs);
    for await (const { source, layout, first } of this.#pieces(weight, matrix)) {
      quantizeColumns(source, layout, columns, first);
    }
    await this.#write(names.values, 0, isSigned ? bytesOf(columns.values) : toUnsigned(columns.values));
    await this.#write(names.scales, 0, bytesOf(columns.scales));
    await this.#write(names.sums, 0, bytesOf(columns.sums));
  }

  /** A linear layer's matrix at once; one of a whole vocabulary in pieces of some outputs, from `first` on. */
  async *#pieces(weight: WeightSpan, { inputs, outputs, outputsFirst }: Matrix): AsyncGenerator<Piece> {
    const pieceOutputs = outputsFirst ? Math.max(1, Math.floor(PIECE / inputs)) : outputs;
    const [inputStride, outputStride] = outputsFirst ? [1, inputs] : [outputs, 1];
    for (let first = 0; first < outputs; first += pieceOutputs) {
      const count = Math.min(pieceOutputs, outputs - first);
      const source = await this.#read(weight, first * outputStride, count * inputs);
      yield { source, layout: { inputs, outputs: count, inputStride, outputStride }, first };
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
