import type { Value } from '../graph.js';
import { float, inputOf, integer, outputGradient, type Rule } from './rule.js';

/** Rule of Gemm: `A @ B + C` or `A @ B' + C`, without alpha, beta and transA; C is `[columns]`. */
const gemm: Rule = (input) => {
  const { graph, node, needs } = input;
  const { attributes } = node;
  if ('alpha' in attributes || 'beta' in attributes || 'transA' in attributes) {
    throw new Error('Gemm is differentiated without alpha, beta and transA');
  }
  const dy = outputGradient(input);
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const transB = integer(node, 'transB', 0);
  const ofB = (): Value => graph.node('Gemm', transB ? [dy, a] : [a, dy], { transA: 1 });
  return [
    needs(0) ? graph.node('Gemm', [dy, b], { transB: 1 - transB }) : undefined, // the same weight, no transposed copy
    needs(1) ? ofB() : undefined,
    needs(2) ? graph.node('ReduceSum', [dy, graph.int64([0])], { keepdims: 0 }) : undefined,
  ];
};

/** Rule of FusedMatMul: `alpha * A @ B`, either factor transposed or not, with equal leading dimensions. */
const fusedMatMul: Rule = (input) => {
  const { graph, node, needs } = input;
  const dy = outputGradient(input);
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const [transA, transB] = [integer(node, 'transA', 0), integer(node, 'transB', 0)];
  const alpha = { float: float(node, 'alpha', 1) };
  const product = (left: Value, right: Value, transLeft: number, transRight: number): Value =>
    graph.node('com.microsoft:FusedMatMul', [left, right], { alpha, transA: transLeft, transB: transRight });
  const ofA = (): Value => (transA ? product(b, dy, transB, 1) : product(dy, b, 0, 1 - transB));
  const ofB = (): Value => (transB ? product(dy, a, 1, transA) : product(a, dy, 1 - transA, 0));
  return [needs(0) ? ofA() : undefined, needs(1) ? ofB() : undefined];
};

/** Rules of matrix products. */
export const PRODUCT_RULES: Readonly<Record<string, Rule>> = {
  Gemm: gemm,
  'com.microsoft:FusedMatMul': fusedMatMul,
};
