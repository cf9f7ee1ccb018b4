import type { Value } from '../graph.js';
import type { GraphBuilder } from '../graph.js';
import {
  inputOf,
  integer,
  type Inverse,
  outputGradient,
  type Rule,
  type RuleInput,
  type Size,
  zerosLike,
} from './rule.js';

/** Rule of operators that only change the shape. */
const reshape: Rule = (input) => {
  const { graph, node } = input;
  return [graph.node('Reshape', [outputGradient(input), shapeOf(input, inputOf(node, 0))])];
};

const transpose: Rule = (input) => {
  const { graph, node } = input;
  const perm = node.attributes['perm'];
  if (!Array.isArray(perm)) throw new Error('Transpose is differentiated with its perm');
  const inverse = perm.map((_, axis) => (perm as number[]).indexOf(axis));
  return [graph.node('Transpose', [outputGradient(input)], { perm: inverse })];
};

const split: Rule = ({ graph, node, gradients }) => {
  const parts = gradients.map((gradient, index) => gradient ?? zerosLike(graph, node.outputs[index] as Value));
  return [graph.node('Concat', parts, { axis: integer(node, 'axis', 0) })];
};

const concat: Rule = (input) => {
  const { graph, node, needs } = input;
  const axis = integer(node, 'axis', 0);
  const sizes = node.inputs.map((_, index) => sizeOf(input, inputOf(node, index), axis));
  const inputs = [outputGradient(input), graph.node('Concat', sizes, { axis: 0 })];
  return graph.nodes('Split', inputs, sizes.length, { axis }).map((part, index) => (needs(index) ? part : undefined));
};

/** Rule of Expand along the first axis, from length 1. */
const expand: Rule = (input) => {
  const { graph } = input;
  return [graph.node('ReduceSum', [outputGradient(input), graph.int64([0])])];
};

/**
 * Rule of Gather along the first axis: rows at indices `[n]`, which may repeat, or at indices of any shape that have
 * an inverse.
 */
const gather: Rule = (input) => {
  const { graph, node, inverses } = input;
  if (integer(node, 'axis', 0) !== 0) throw new Error('Gather is differentiated along the first axis');
  const [data, indices] = [inputOf(node, 0), inputOf(node, 1)];
  const inverse = inverses.get(indices);
  if (inverse !== undefined) return [gatherBack(graph, outputGradient(input), inverse)];
  const places = graph.node('Unsqueeze', [indices, graph.int64([-1])]);
  const inputs = [zerosLike(graph, data), places, outputGradient(input)];
  return [graph.node('ScatterND', inputs, { reduction: 'add' })];
};

/** Gradient of [rows, columns] from `dy`, the gradient of the rows gathered from it. */
function gatherBack(graph: GraphBuilder, dy: Value, { index, zeros }: Inverse): Value {
  const columns = graph.node('Gather', [graph.node('Shape', [dy]), graph.int64([-1])]);
  const rows = graph.node('Reshape', [dy, graph.node('Concat', [graph.int64([-1]), columns], { axis: 0 })]);
  if (!zeros) return graph.node('Gather', [rows, index]);
  const zero = graph.node('ConstantOfShape', [graph.node('Concat', [graph.int64([1]), columns], { axis: 0 })]);
  return graph.node('Gather', [graph.node('Concat', [rows, zero], { axis: 0 }), index]);
}

/** A value's shape, in which one size may be -1. */
function shapeOf({ graph, shapes }: RuleInput, value: Value): Value {
  const known = shapes.get(value);
  if (known === undefined) return graph.node('Shape', [value]);
  const numbers = known.filter((size) => typeof size === 'number');
  if (numbers.length === known.length) return graph.int64(numbers);
  return graph.node(
    'Concat',
    known.map((size) => asTensor(graph, size)),
    { axis: 0 },
  );
}

/** A value's size along an axis, [1]. */
function sizeOf({ graph, shapes }: RuleInput, value: Value, axis: number): Value {
  const known = shapes.get(value)?.at(axis);
  if (known === undefined || known === -1)
    return graph.node('Gather', [graph.node('Shape', [value]), graph.int64([axis])]);
  return asTensor(graph, known);
}

function asTensor(graph: GraphBuilder, size: Size): Value {
  return typeof size === 'number' ? graph.int64([size]) : size;
}

/** Rules of operators that move elements. */
export const LAYOUT_RULES: Readonly<Record<string, Rule>> = {
  Reshape: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Split: split,
  Concat: concat,
  Expand: expand,
  Gather: gather,
};
