import type { GraphBuilder, Value } from '../onnx/graph.js';
import type { WeightSource } from './architecture.js';
import { BLOCK, quantizedNames } from './compile/quantize.js';
import { columnNames } from './compile/quantize-columns.js';
import { IntegerProducts } from './integer-products.js';
import { byteLength, type WeightSpan } from './weights.js';

/** `MatMulNBits` rounds activations to 8 bits too, a block at a time, and multiplies integers: several times faster. */
const INT8_ACTIVATIONS = 4;

/** Names of the weights of a model's head. */
interface HeadWeights {
  /** `[vocabulary, inputs]`, where it is not of few bits. */
  readonly matrix: string;
  /** Added where there is a weight of that name. */
  readonly bias: string;
  readonly inputs: number;
}

/** The weights that a model's graph reads, and products with those that are quantised. */
export class WeightNodes {
  readonly #spans: ReadonlyMap<string, WeightSpan>;
  readonly #file: string;
  readonly #products: IntegerProducts;

  constructor(
    private readonly graph: GraphBuilder,
    { weights, weightsFile }: WeightSource,
  ) {
    this.#spans = new Map(weights.map((span) => [span.name, span]));
    this.#file = weightsFile;
    this.#products = new IntegerProducts(graph);
  }

  has(name: string): boolean {
    return this.#spans.has(name);
  }

  /** Type of a weight's elements, and so of what is computed with it. */
  activationType(name: string): 'float32' | 'float16' {
    return this.#spans.get(name)?.type === 'float16' ? 'float16' : 'float32';
  }

  /** An initializer of the graph. Throws for a name that is no weight. */
  weight(name: string): Value {
    const span = this.#span(name);
    const data = { file: this.#file, offset: span.offset, bytes: byteLength(span) };
    return this.graph.weight(name, span.shape, data, span.type);
  }

  /**
   * Matrices `[outputs, inputs]` of the same inputs, one below the other, as one initializer `name`: they are read as they lie in the file. Undefined
   * where other bytes lie between them, and where one is missing.
   */
  joined(name: string, parts: readonly string[]): Value | undefined {
    const spans = parts.flatMap((part) => this.#spans.get(part) ?? []);
    const [first, ...others] = spans;
    if (first === undefined || spans.length < parts.length) return undefined;
    let bytes = byteLength(first);
    for (const span of others) {
      if (span.offset !== first.offset + bytes) return undefined;
      bytes += byteLength(span);
    }
    const outputs = spans.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
    const shape = [outputs, ...first.shape.slice(1)];
    return this.graph.weight(name, shape, { file: this.#file, offset: first.offset, bytes }, first.type);
  }

  /** Whether the matrix of the layer `name` is of few bits. */
  isQuantized(name: string): boolean {
    return this.#spans.has(quantizedNames(name).values) || this.#isInColumns(name);
  }

  /**
   * `x` `[tokens, inputs]` times the quantised matrix of the layer `name`, with a bias if there is a weight of that name.
   * @param output name of the result
   */
  quantizedProduct(x: Value, name: string, inputs: number, bias: string, output?: Value): Value {
    if (this.#isInColumns(name)) return this.#columnProduct(x, name, bias, output);
    const { values, scales } = quantizedNames(name);
    const [outputs, , blockBytes] = this.#span(values).shape as [number, number, number];
    const [product] = this.graph.nodes(
      'com.microsoft:MatMulNBits',
      [
        x,
        this.weight(values),
        this.weight(scales),
        undefined,
        undefined,
        this.has(bias) ? this.weight(bias) : undefined,
      ],
      output === undefined ? 1 : [output],
      {
        K: inputs,
        N: outputs,
        bits: (8 * blockBytes) / BLOCK,
        block_size: BLOCK,
        accuracy_level: INT8_ACTIVATIONS,
      },
    );
    return product as Value;
  }

  /** Hidden states `[rows, inputs]` to float32 logits `[rows, vocabulary]`, under the name `output`. */
  head(hidden: Value, { matrix, bias, inputs }: HeadWeights, output: Value): void {
    if (this.isQuantized('lm_head')) return void this.quantizedProduct(hidden, 'lm_head', inputs, bias, output);
    const operands = [hidden, this.weight(matrix), ...(this.has(bias) ? [this.weight(bias)] : [])];
    if (this.activationType(matrix) === 'float16') {
      return void this.graph.cast(this.graph.node('Gemm', operands, { transB: 1 }), 'float32', output);
    }
    this.graph.nodes('Gemm', operands, [output], { transB: 1 });
  }

  #isInColumns(name: string): boolean {
    return this.#spans.has(columnNames(name).values);
  }

  #columnProduct(x: Value, name: string, bias: string, output?: Value): Value {
    const { values, scales, sums } = columnNames(name);
    const matrix = {
      values: this.weight(values),
      scales: this.weight(scales),
      sums: this.weight(sums),
      isSigned: this.#span(values).type === 'int8',
      bias: this.has(bias) ? this.weight(bias) : undefined,
    };
    return this.#products.product(x, matrix, output);
  }

  #span(name: string): WeightSpan {
    const span = this.#spans.get(name);
    if (span === undefined) throw new Error(`no weight ${name}`);
    return span;
  }
}
