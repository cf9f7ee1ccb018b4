import { GraphBuilder, type Value } from '../../onnx/graph.js';
import type { ModelShape } from '../../prefix/kv.js';
import {
  type ParameterName,
  parameterShapes,
  type RowSet,
  rowSets,
  type SetTensor,
  type TunedShape,
} from '../method.js';

/** The trained tensors as inputs of a graph. */
export class Parameters {
  readonly #shapes: ReadonlyMap<ParameterName, readonly number[]>;
  /** The names of the inputs. */
  readonly names: readonly ParameterName[];

  constructor(
    private readonly graph: GraphBuilder,
    frozen: ModelShape,
    shape: TunedShape,
  ) {
    this.#shapes = parameterShapes(frozen, shape);
    this.names = [...this.#shapes.keys()];
    for (const [name, dims] of this.#shapes) graph.input(name, 'float32', dims);
  }

  /** The rows [P, columns] of a set: the parameter itself, or what the MLP makes of its input. */
  rows({ nameOf }: RowSet): Value {
    if (this.#shapes.has(nameOf('rows'))) return nameOf('rows');
    const linear = (x: Value, w: SetTensor, b: SetTensor): Value =>
      this.graph.node('Gemm', [x, nameOf(w), nameOf(b)], { transB: 1 });
    return linear(this.graph.node('Tanh', [linear(nameOf('wte'), 'w0', 'b0')]), 'w2', 'b2');
  }

  /** Declares the gradient of each parameter as the output `grad_NAME`. */
  output(gradients: ReadonlyMap<Value, Value>): void {
    for (const [name, dims] of this.#shapes) {
      const output = `grad_${name}`;
      this.graph.nodes('Identity', [gradients.get(name)], [output]);
      this.graph.output(output, 'float32', dims);
    }
  }
}

/** The rows that are exported, from the parameters: `exported_SITE` [P, columns] for each set. It has no weight of the model. */
export function rowsGraph(frozen: ModelShape, shape: TunedShape): GraphBuilder {
  const graph = new GraphBuilder('rows');
  const parameters = new Parameters(graph, frozen, shape);
  for (const set of rowSets(frozen, shape)) {
    const output = exportedName(set);
    graph.nodes('Identity', [parameters.rows(set)], [output]);
    graph.output(output, 'float32', [set.length, set.columns]);
  }
  return graph;
}

/** Output of `rowsGraph` with the rows of a set. */
export function exportedName({ site }: Pick<RowSet, 'site'>): Value {
  return `exported_${site}`;
}
