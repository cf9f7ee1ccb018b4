import onnxProto, { type onnx } from 'onnx-proto';

/** Name of a value in a graph: an input, an initializer or a node's output. */
export type Value = string;

/** Location of an initializer's bytes: a range of a file beside the graph's file. */
export interface ExternalData {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A dimension: a number, or a name for one that varies between runs. */
export type Dim = number | string;
/** Element type of a tensor. */
export type TensorType = 'float32' | 'float16' | 'uint8' | 'int8' | 'int32' | 'int64';
/** Value of a node's attribute; a plain number is an integer. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

/**
 * A node of a graph. `op` starts with its domain if that is not ONNX's own (`com.microsoft:Name`). An undefined input
 * is an optional one left out.
 */
export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const { AttributeProto, ModelProto, TensorProto } = onnxProto.onnx;
const DATA_TYPES: Record<TensorType, number> = {
  float32: TensorProto.DataType.FLOAT,
  float16: TensorProto.DataType.FLOAT16,
  uint8: TensorProto.DataType.UINT8,
  int8: TensorProto.DataType.INT8,
  int32: TensorProto.DataType.INT32,
  int64: TensorProto.DataType.INT64,
};
/** Versions of the format and of the operator sets that graphs are written for. */
const IR_VERSION = 10;
const OPSET = 21;
/** Operators that are newer than `OPSET`, and the version that brought them. */
const NEWER_OPERATORS: Readonly<Record<string, number>> = { TensorScatter: 24 };
const MICROSOFT_OPSET = 1;

/** Collects the nodes of one ONNX graph in execution order, and encodes them as a model file. */
export class GraphBuilder {
  readonly #nodes: GraphNode[] = [];
  readonly #inputs: onnx.IValueInfoProto[] = [];
  readonly #outputs: onnx.IValueInfoProto[] = [];
  readonly #initializers = new Map<Value, onnx.ITensorProto>();
  #names = 0;

  constructor(private readonly name: string) {}

  /** Declares an input of the graph. */
  input(name: string, type: TensorType, shape: readonly Dim[]): Value {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** Declares an existing value as an output of the graph. */
  output(value: Value, type: TensorType, shape: readonly Dim[]): void {
    this.#outputs.push(valueInfo(value, type, shape));
  }

  /** Declares an initializer whose bytes lie in another file. Further calls with the same name change nothing. */
  weight(name: string, shape: readonly number[], data: ExternalData, type: TensorType = 'float32'): Value {
    if (!this.#initializers.has(name)) {
      const location = { location: data.file, offset: String(data.offset), length: String(data.bytes) };
      this.#initializers.set(name, {
        name,
        dataType: DATA_TYPES[type],
        dims: [...shape],
        dataLocation: TensorProto.DataLocation.EXTERNAL,
        externalData: Object.entries(location).map(([key, value]) => ({ key, value })),
      });
    }
    return name;
  }

  /** A small constant of 64-bit integers, for shapes and indices; a scalar if `values` is a number. */
  int64(values: number | readonly number[]): Value {
    const name = `int64_${typeof values === 'number' ? values : `[${values.join(',')}]`}`;
    if (!this.#initializers.has(name)) {
      const list = typeof values === 'number' ? [values] : [...values];
      const dims = typeof values === 'number' ? [] : [list.length];
      this.#initializers.set(name, { name, dataType: TensorProto.DataType.INT64, dims, int64Data: list });
    }
    return name;
  }

  /** A small float32 constant; a scalar if `values` is a number. */
  float32(values: number | readonly number[]): Value {
    const name = `float32_${typeof values === 'number' ? values : `[${values.join(',')}]`}`;
    if (!this.#initializers.has(name)) {
      const list = typeof values === 'number' ? [values] : [...values];
      const dims = typeof values === 'number' ? [] : [list.length];
      this.#initializers.set(name, { name, dataType: TensorProto.DataType.FLOAT, dims, floatData: list });
    }
    return name;
  }

  /** An unsigned byte, as a scalar constant. */
  uint8(value: number): Value {
    const name = `uint8_${value}`;
    if (!this.#initializers.has(name)) {
      this.#initializers.set(name, { name, dataType: TensorProto.DataType.UINT8, dims: [], int32Data: [value] });
    }
    return name;
  }

  /** The nodes added so far, in execution order. */
  get history(): readonly GraphNode[] {
    return this.#nodes;
  }

  /** Adds a node with one output, and returns that output. */
  node(op: string, inputs: readonly (Value | undefined)[], attributes: Record<string, Attribute> = {}): Value {
    const [output] = this.nodes(op, inputs, 1, attributes);
    return output as Value;
  }

  /** Adds a Cast node. Its output is named `output` if that is given. */
  cast(value: Value, type: TensorType, output?: Value): Value {
    const [converted] = this.nodes('Cast', [value], output === undefined ? 1 : [output], { to: DATA_TYPES[type] });
    return converted as Value;
  }

  /**
   * Adds a node with several outputs, and returns them.
   * @param op operator; ONNX Runtime's own are written `com.microsoft:Name`
   * @param inputs undefined for an optional input left out
   * @param outputs number of outputs, or their names if they are outputs of the graph
   */
  nodes(
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: number | readonly Value[],
    attributes: Record<string, Attribute> = {},
  ): Value[] {
    const names =
      typeof outputs === 'number'
        ? Array.from({ length: outputs }, () => `${op.split(':').at(-1)}_${this.#names++}`)
        : [...outputs];
    this.#nodes.push({ op, inputs, outputs: names, attributes });
    return names;
  }

  get #opset(): number {
    return Math.max(OPSET, ...this.#nodes.map(({ op }) => NEWER_OPERATORS[op] ?? OPSET));
  }

  /** The graph as the bytes of an `.onnx` file. */
  toBytes(): Uint8Array {
    return ModelProto.encode({
      irVersion: IR_VERSION,
      producerName: 'preamble',
      opsetImport: [
        { domain: '', version: this.#opset },
        { domain: 'com.microsoft', version: MICROSOFT_OPSET },
      ],
      graph: {
        name: this.name,
        node: this.#nodes.map(nodeProto),
        input: this.#inputs,
        output: this.#outputs,
        initializer: [...this.#initializers.values()],
      },
    }).finish();
  }
}

function valueInfo(name: string, type: TensorType, shape: readonly Dim[]): onnx.IValueInfoProto {
  const dim = shape.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d }));
  return { name, type: { tensorType: { elemType: DATA_TYPES[type], shape: { dim } } } };
}

function nodeProto({ op, inputs, outputs, attributes }: GraphNode, index: number): onnx.INodeProto {
  const [opType, domain] = op.split(':').reverse() as [string, string | undefined];
  return {
    opType,
    domain: domain ?? '',
    name: `${opType}:${index}`,
    input: inputs.map((input) => input ?? ''),
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
  };
}

function attributeProto(name: string, value: Attribute): onnx.IAttributeProto {
  const { AttributeType } = AttributeProto;
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: value };
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.INTS, ints: [...value] };
}
