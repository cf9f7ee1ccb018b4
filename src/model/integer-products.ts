import type { GraphBuilder, Value } from '../onnx/graph.js';
import { ZERO_POINT } from './compile/quantize-columns.js';

const LEVELS = 255;
/** Keeps the scale of a row whose values are all the same from being zero. */
const SMALLEST_SCALE = 1e-30;
/** ONNX's number for unsigned bytes. */
const UINT8 = 2;

/** Rows of 8-bit integers: x = integer * scale + low, with one scale and one low end for each row. */
interface QuantizedRows {
  /** `[rows, inputs]` unsigned bytes. */
  readonly values: Value;
  /** `[rows, 1]` */
  readonly scale: Value;
  /** `[rows, 1]`, the row's smallest value. */
  readonly low: Value;
}

/** A quantised matrix (`QuantizedColumns`), and the bias of its layer. */
interface ColumnMatrix {
  readonly values: Value;
  readonly scales: Value;
  readonly sums: Value;
  readonly isSigned: boolean;
  readonly bias?: Value | undefined;
}

/**
 * Writes products of integers. Each row of activations is quantised by itself, by its own smallest and largest value, and sums of integers are
 * exact: a row's result has the same bits whatever rows it is computed with.
 */
export class IntegerProducts {
  /** By the value that was quantised: layers that read the same one share its integers. */
  readonly #rows = new Map<Value, QuantizedRows>();

  constructor(private readonly graph: GraphBuilder) {}

  /**
   * `x` `[rows, inputs]` times the matrix, `[rows, outputs]`.
   * @param output name of the result
   */
  product(x: Value, matrix: ColumnMatrix, output?: Value): Value {
    const { graph } = this;
    const { values, scale, low } = this.#quantize(x);
    const product = graph.node('com.microsoft:MatMulIntegerToFloat', [
      values,
      matrix.values,
      graph.float32(1),
      matrix.scales,
      undefined,
      matrix.isSigned ? undefined : graph.uint8(ZERO_POINT),
    ]);
    const terms = [
      graph.node('Mul', [product, scale]),
      graph.node('Mul', [low, matrix.sums]),
      ...(matrix.bias === undefined ? [] : [matrix.bias]),
    ];
    return terms.reduce((sum, term, index) => {
      const [added] = graph.nodes(
        'Add',
        [sum, term],
        output !== undefined && index === terms.length - 1 ? [output] : 1,
      );
      return added as Value;
    });
  }

  #quantize(x: Value): QuantizedRows {
    const known = this.#rows.get(x);
    if (known !== undefined) return known;
    const { graph } = this;
    const columns = graph.int64([1]);
    const low = graph.node('ReduceMin', [x, columns]);
    const range = graph.node('Sub', [graph.node('ReduceMax', [x, columns]), low]);
    const step = graph.node('Mul', [range, graph.float32(1 / LEVELS)]);
    const scale = graph.node('Max', [step, graph.float32(SMALLEST_SCALE)]);
    const inputs = [graph.node('Sub', [x, low]), graph.node('Squeeze', [scale, columns])];
    const values = graph.node('QuantizeLinear', inputs, { axis: 0, output_dtype: UINT8 });
    const rows = { values, scale, low };
    this.#rows.set(x, rows);
    return rows;
  }
}
