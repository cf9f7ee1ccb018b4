import type { GraphBuilder, Value } from '../onnx/graph.js';

/** Activation functions, by the names that Transformers gives them. */
export const ACTIVATIONS = {
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu: 'gelu_erf',
  gelu_python: 'gelu_erf',
  quick_gelu: 'gelu_sigmoid',
  relu: 'relu',
  silu: 'silu',
  swish: 'silu',
  tanh: 'tanh',
  sigmoid: 'sigmoid',
} as const;

/** An activation function of an MLP, by what it computes. */
export type Activation = (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS];

const NODES: Record<Activation, (graph: GraphBuilder, x: Value) => Value> = {
  gelu_tanh: (graph, x) => graph.node('Gelu', [x], { approximate: 'tanh' }),
  gelu_erf: (graph, x) => graph.node('Gelu', [x]),
  gelu_sigmoid: (graph, x) => graph.node('com.microsoft:QuickGelu', [x], { alpha: { float: 1.702 } }),
  relu: (graph, x) => graph.node('Relu', [x]),
  silu: (graph, x) => graph.node('Mul', [x, graph.node('Sigmoid', [x])]),
  tanh: (graph, x) => graph.node('Tanh', [x]),
  sigmoid: (graph, x) => graph.node('Sigmoid', [x]),
};

/** Writes an activation of `x`, of any shape. */
export function activate(graph: GraphBuilder, activation: Activation, x: Value): Value {
  return NODES[activation](graph, x);
}
