import type { Attribute, GraphBuilder, GraphNode, Value } from '../graph.js';

/** Maps the gradients of gathered rows back to the rows that they were gathered from. */
export interface Inverse {
  /** For each row of the data, the row of the gathered result that has its gradient. */
  readonly index: Value;
  /**
   * Whether the index may also name the row behind the last, for data rows that were not gathered: their gradient is
   * zero.
   */
  readonly zeros: boolean;
}

/**
 * Inverses by the index tensors of their gathers. A row of the result that the inverse does not name must have no
 * gradient.
 */
type Inverses = ReadonlyMap<Value, Inverse>;

/** A dimension: its size, -1 for the one that the others leave, or a tensor [1] with it. */
export type Size = number | Value;

/** Shapes of values that are known without the values: ONNX Runtime keeps a tensor until its shape has been read. */
type Shapes = ReadonlyMap<Value, readonly Size[]>;

/** What is known of a graph beside its nodes, each part as far as it goes. */
export interface Known {
  readonly inverses?: Inverses;
  readonly shapes?: Shapes;
}

/** A node to differentiate, and what its rule may use. */
export interface RuleInput {
  readonly graph: GraphBuilder;
  readonly node: GraphNode;
  /** Gradient of each output; undefined if the scalar does not depend on that output. At least one is defined. */
  readonly gradients: readonly (Value | undefined)[];
  /** Whether the gradient of the input with this index is needed. */
  readonly needs: (input: number) => boolean;
  readonly inverses: Inverses;
  readonly shapes: Shapes;
}

/** Writes the gradients of a node's inputs, in order; undefined where none is needed. */
export type Rule = (input: RuleInput) => (Value | undefined)[];

/** Input `index` of a node. Throws if it was left out. */
export function inputOf({ inputs, op }: GraphNode, index: number): Value {
  const input = inputs[index];
  if (input === undefined) throw new Error(`${op} lacks input ${index}`);
  return input;
}

/** Gradient of a node's first output. Throws if there is none. */
export function outputGradient({ gradients, node }: RuleInput): Value {
  const [gradient] = gradients;
  if (gradient === undefined) throw new Error(`the first output of ${node.op} has no gradient`);
  return gradient;
}

/** Value of an integer attribute, or `fallback` if the node does not have it. */
export function integer({ attributes, op }: GraphNode, name: string, fallback: number): number {
  const value: Attribute = attributes[name] ?? fallback;
  if (typeof value !== 'number') throw new Error(`${op}.${name} is not an integer`);
  return value;
}

/** Value of a float attribute, or `fallback` if the node does not have it. */
export function float({ attributes, op }: GraphNode, name: string, fallback: number): number {
  const value: Attribute = attributes[name] ?? { float: fallback };
  if (typeof value !== 'object' || !('float' in value)) throw new Error(`${op}.${name} is not a float`);
  return value.float;
}

/** Zeros of the shape of `value`. */
export function zerosLike(graph: GraphBuilder, value: Value): Value {
  return graph.node('ConstantOfShape', [graph.node('Shape', [value])]);
}
