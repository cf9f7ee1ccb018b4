import type { KvPrecision } from './precision.js';

/** The file of a graph for keys and values of a type: each graph is written for both. */
export function graphFile(name: string, kv: KvPrecision): string {
  return kv === 'float32' ? name : name.replace('.onnx', '-kv16.onnx');
}

/** Slots that one step treats alike: those of the rows, or that of the chunk. */
export type AttentionGroup = 'rows' | 'chunk';

/** Name, in inputs and outputs, of an attention node of a group: nodes after the first are numbered. */
export function nodeName(group: AttentionGroup, node: number): string {
  return node === 0 ? group : `${group}_${node}`;
}

/** Name of a layer's keys (0) or values (1) in the KV arena: read as `past_...`, written as `present_...`. */
export function kvName(state: 'past' | 'present', node: string, layer: number, kv: 0 | 1): string {
  return `${state}_${node}_${layer}_${kv === 0 ? 'key' : 'value'}`;
}
