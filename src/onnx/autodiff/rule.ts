import type { Attribute, GraphBuilder, GraphNode, Value } from '../graph.js';

/** Brings the gradients of rows that `Gather` took back to where they were taken. */
export interface Inverse {
  /** For each row of the data: which row of the result has its gradient. */
  readonly index: Value;
  /** Whether the index may also say the row behind the last: of data that nobody took, whose gradient is zero. */
  readonly zeros: boolean;
}

/** Known inverses, by the indices that rows are taken by. A place of the result that an inverse does not name must have no gradient. */
export type Inverses = ReadonlyMap<Value, Inverse>;

/** A node to differentiate. */
export interface RuleInput {
  readonly graph: GraphBuilder;
  readonly node: GraphNode;
  /** The gradient of each output; undefined for one that the scalar does not depend on. At least one is there. */
  readonly gradients: readonly (Value | undefined)[];
  /** Whether the gradient of an input is wanted. */
  readonly needs: (input: number) => boolean;
  readonly inverses: Inverses;
}

/** Writes the gradients of a node's inputs, in their order; undefined where none is wanted. */
export type Rule = (input: RuleInput) => (Value | undefined)[];

/** Input `index` of a node that cannot do without it. */
export function inputOf({ inputs, op }: GraphNode, index: number): Value {
  const input = inputs[index];
  if (input === undefined) throw new Error(`${op} lacks input ${index}`);
  return input;
}

/** The gradient of a node's first output. */
export function outputGradient({ gradients, node }: RuleInput): Value {
  const [gradient] = gradients;
  if (gradient === undefined) throw new Error(`the first output of ${node.op} has no gradient`);
  return gradient;
}

/** An integer attribute; `fallback` where it is not written. */
export function integer({ attributes, op }: GraphNode, name: string, fallback: number): number {
  const value: Attribute = attributes[name] ?? fallback;
  if (typeof value !== 'number') throw new Error(`${op}.${name} is not an integer`);
  return value;
}

/** A float attribute; `fallback` where it is not written. */
export function float({ attributes, op }: GraphNode, name: string, fallback: number): number {
  const value: Attribute = attributes[name] ?? { float: fallback };
  if (typeof value !== 'object' || !('float' in value)) throw new Error(`${op}.${name} is not a float`);
  return value.float;
}

/** Zeros of the shape of `value`. */
export function zerosLike(graph: GraphBuilder, value: Value): Value {
  return graph.node('ConstantOfShape', [graph.node('Shape', [value])]);
}
