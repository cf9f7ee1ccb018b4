import type { GraphBuilder, GraphNode, Value } from '../graph.js';
import type { Known, RuleInput } from './rule.js';
import { RULES } from './rules.js';

/**
 * Appends to `graph` the gradient of a scalar with respect to `parameters`, by reverse-mode differentiation with one
 * rule per operator. Nodes that depend on no parameter get no gradient, so frozen weights cost nothing.
 *
 * @param seeds values of the graph, each with the scalar's gradient with respect to it, of the value's shape
 * @param known inverses of index tensors, so that a gather's gradient is gathered too, which is faster than scattering; and shapes, so that
 * values need not be kept for theirs
 * @returns the gradient of each parameter, of the parameter's shape
 * @throws Error for an operator on the way that has no rule, and for a parameter that no seed depends on
 */
export function addGradients(
  graph: GraphBuilder,
  seeds: ReadonlyMap<Value, Value>,
  parameters: readonly Value[],
  { inverses = new Map(), shapes = new Map() }: Known = {},
): Map<Value, Value> {
  const nodes = [...graph.history];
  const reached = reachableFrom(parameters, nodes);
  const gradients = new Map(seeds);
  for (const node of nodes.reverse()) differentiate({ graph, node, inverses, shapes }, reached, gradients);
  return new Map(
    parameters.map((parameter) => {
      const gradient = gradients.get(parameter);
      if (gradient === undefined) throw new Error(`nothing depends on ${parameter}`);
      return [parameter, gradient];
    }),
  );
}

/** `parameters`, and the values that depend on one of them. */
function reachableFrom(parameters: readonly Value[], nodes: readonly GraphNode[]): ReadonlySet<Value> {
  const reached = new Set(parameters);
  for (const { inputs, outputs } of nodes) {
    if (inputs.some((input) => input !== undefined && reached.has(input))) outputs.forEach((o) => reached.add(o));
  }
  return reached;
}

/** Adds a node's contribution to the gradients of its inputs. The gradients of its outputs must be complete. */
function differentiate(
  { graph, node, ...known }: Pick<RuleInput, 'graph' | 'node' | 'inverses' | 'shapes'>,
  reached: ReadonlySet<Value>,
  gradients: Map<Value, Value>,
): void {
  const needs = (index: number): boolean => {
    const input = node.inputs[index];
    return input !== undefined && reached.has(input);
  };
  const outputGradients = node.outputs.map((output) => gradients.get(output));
  if (!node.inputs.some((_, index) => needs(index)) || outputGradients.every((g) => g === undefined)) return;
  const rule = RULES[node.op];
  if (rule === undefined) throw new Error(`no rule differentiates ${node.op}`);
  rule({ graph, node, gradients: outputGradients, needs, ...known }).forEach((contribution, index) => {
    const input = node.inputs[index];
    if (input === undefined || contribution === undefined || !needs(index)) return;
    const before = gradients.get(input);
    gradients.set(input, before === undefined ? contribution : graph.node('Add', [before, contribution]));
  });
}
