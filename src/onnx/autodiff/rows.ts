import type { Value } from '../graph.js';
import { inputOf, integer, outputGradient, type Rule } from './rule.js';

/** Rule of Softmax over the last axis. */
const softmax: Rule = (input) => {
  const { graph, node } = input;
  if (integer(node, 'axis', -1) !== -1) throw new Error('Softmax is differentiated over the last axis');
  const y = node.outputs[0] as Value;
  const weighted = graph.node('Mul', [outputGradient(input), y]);
  const sum = graph.node('ReduceSum', [weighted, graph.int64([-1])]);
  return [graph.node('Sub', [weighted, graph.node('Mul', [y, sum])])];
};

/**
 * Rule of LayerNormalization over the last axis, with frozen scale and bias. The node must have its outputs for mean
 * and 1 / deviation.
 */
const layerNormalization: Rule = (input) => {
  const { graph, node, needs } = input;
  const [, mean, inverse] = node.outputs;
  if (mean === undefined || inverse === undefined) throw new Error('LayerNormalization has one output, not three');
  if (needs(1) || needs(2)) throw new Error('LayerNormalization is differentiated with frozen scale and bias');
  const average = (value: Value): Value => graph.node('ReduceMean', [value, graph.int64([-1])]);
  const normed = graph.node('Mul', [graph.node('Sub', [inputOf(node, 0), mean]), inverse]);
  const scaled = graph.node('Mul', [outputGradient(input), inputOf(node, 1)]);
  const centred = graph.node('Sub', [scaled, average(scaled)]);
  const along = graph.node('Mul', [normed, average(graph.node('Mul', [scaled, normed]))]);
  return [graph.node('Mul', [graph.node('Sub', [centred, along]), inverse])];
};

/**
 * Rule of SimplifiedLayerNormalization over the last axis, with a frozen scale. The node must have its output for 1 / deviation, from
 * zero.
 */
const simplifiedLayerNormalization: Rule = (input) => {
  const { graph, node, needs } = input;
  const [, inverse] = node.outputs;
  if (inverse === undefined) throw new Error('SimplifiedLayerNormalization has one output, not two');
  if (needs(1)) throw new Error('SimplifiedLayerNormalization is differentiated with a frozen scale');
  if (integer(node, 'axis', -1) !== -1)
    throw new Error('SimplifiedLayerNormalization is differentiated over the last axis');
  const normed = graph.node('Mul', [inputOf(node, 0), inverse]);
  const scaled = graph.node('Mul', [outputGradient(input), inputOf(node, 1)]);
  const mean = graph.node('ReduceMean', [graph.node('Mul', [scaled, normed]), graph.int64([-1])]);
  return [graph.node('Mul', [graph.node('Sub', [scaled, graph.node('Mul', [normed, mean])]), inverse])];
};

/** Rule of RotaryEmbedding, whose angles are frozen: the gradient is turned back. */
const rotaryEmbedding: Rule = (input) => {
  const { graph, node, needs } = input;
  if (needs(2) || needs(3)) throw new Error('RotaryEmbedding is differentiated with frozen cosines and sines');
  const [positions, cosines, sines] = [1, 2, 3].map((index) => inputOf(node, index));
  const inputs = [outputGradient(input), positions, cosines, graph.node('Neg', [sines])];
  return [graph.node('com.microsoft:RotaryEmbedding', inputs, { ...node.attributes })];
};

/** Rules of operators that treat each row by itself. */
export const ROW_RULES: Readonly<Record<string, Rule>> = {
  Softmax: softmax,
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: simplifiedLayerNormalization,
  'com.microsoft:RotaryEmbedding': rotaryEmbedding,
};
