import { GraphBuilder } from '../../onnx/graph.js';
import type { KvPrecision } from '../precision.js';

/**
 * Graphs without weights that move numbers within a device, or onto it and off it: JavaScript cannot. They are written when a
 * model is opened. `_i` in a name is an index from 0 to `count` - 1.
 */

/** `source_i` [n] to `target_i` [n]. */
export function copyGraph(type: KvPrecision, count: number): Uint8Array {
  const graph = new GraphBuilder('copy');
  for (let i = 0; i < count; i++) {
    graph.nodes('Identity', [graph.input(`source_${i}`, type, ['n'])], [`target_${i}`]);
    graph.output(`target_${i}`, type, ['n']);
  }
  return graph.toBytes();
}

/** Rows `rows` [loaded] of `source_i` [all, n] to `target_i` [loaded, n]. */
export function loadGraph(type: KvPrecision, count: number): Uint8Array {
  const graph = new GraphBuilder('load');
  const rows = graph.input('rows', 'int64', ['loaded']);
  for (let i = 0; i < count; i++) {
    graph.nodes('Gather', [graph.input(`source_${i}`, type, ['all', 'n']), rows], [`target_${i}`]);
    graph.output(`target_${i}`, type, ['loaded', 'n']);
  }
  return graph.toBytes();
}

/**
 * `source_i` [stored, n] to rows `rows` [stored, 1] of `arena_i` [rows, n], in place: `stored_i` is bound to the same memory.
 * Many short rows are faster than a few long ones: WebGPU has one thread for each.
 */
export function storeGraph(type: KvPrecision, count: number): Uint8Array {
  const graph = new GraphBuilder('store');
  const rows = graph.input('rows', 'int64', ['stored', 1]);
  for (let i = 0; i < count; i++) {
    const arena = graph.input(`arena_${i}`, type, ['all', 'n']);
    graph.nodes('ScatterND', [arena, rows, graph.input(`source_${i}`, type, ['stored', 'n'])], [`stored_${i}`]);
    graph.output(`stored_${i}`, type, ['all', 'n']);
  }
  return graph.toBytes();
}
