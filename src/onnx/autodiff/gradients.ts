import type { GraphBuilder, GraphNode, Value } from '../graph.js';
import type { Inverses } from './rule.js';
import { RULES } from './rules.js';

/**
 * Appends to `graph` the gradient of a scalar with respect to `parameters`: reverse-mode differentiation, one rule per
 * operator. A node that no parameter reaches gets no gradient, so a frozen weight costs nothing.
 *
 * @param seeds values with the scalar's gradient with respect to each, of the value's shape
 * @param inverses of indices: to gather gradients is faster than to scatter them
 * @returns the gradient of each parameter, of its shape
 * @throws Error for an operator without a rule on the way, and for a parameter that no seed depends on
 */
export function addGradients(
  graph: GraphBuilder,
  seeds: ReadonlyMap<Value, Value>,
  parameters: readonly Value[],
  inverses: Inverses = new Map(),
): Map<Value, Value> {
  const nodes = [...graph.history];
  const reached = reachableFrom(parameters, nodes);
  const gradients = new Map(seeds);
  for (const node of nodes.reverse()) differentiate(graph, node, reached, gradients, inverses);
  return new Map(
    parameters.map((parameter) => {
      const gradient = gradients.get(parameter);
      if (gradient === undefined) throw new Error(`nothing depends on ${parameter}`);
      return [parameter, gradient];
    }),
  );
}

/** The values that depend on one of `parameters`, and these themselves. */
function reachableFrom(parameters: readonly Value[], nodes: readonly GraphNode[]): ReadonlySet<Value> {
  const reached = new Set(parameters);
  for (const { inputs, outputs } of nodes) {
    if (inputs.some((input) => input !== undefined && reached.has(input))) outputs.forEach((o) => reached.add(o));
  }
  return reached;
}

/** Adds what one node contributes to the gradients of its inputs, once those of its outputs are complete. */
function differentiate(
  graph: GraphBuilder,
  node: GraphNode,
  reached: ReadonlySet<Value>,
  gradients: Map<Value, Value>,
  inverses: Inverses,
): void {
  const needs = (index: number): boolean => {
    const input = node.inputs[index];
    return input !== undefined && reached.has(input);
  };
  const outputGradients = node.outputs.map((output) => gradients.get(output));
  if (!node.inputs.some((_, index) => needs(index)) || outputGradients.every((g) => g === undefined)) return;
  const rule = RULES[node.op];
  if (rule === undefined) throw new Error(`no rule differentiates ${node.op}`);
  rule({ graph, node, gradients: outputGradients, needs, inverses }).forEach((contribution, index) => {
    const input = node.inputs[index];
    if (input === undefined || contribution === undefined || !needs(index)) return;
    const before = gradients.get(input);
    gradients.set(input, before === undefined ? contribution : graph.node('Add', [before, contribution]));
  });
}
