import type { KvPrecision } from './precision.js';

/** The file of a graph for keys and values of a type: each graph is written for both. */
export function graphFile(name: string, kv: KvPrecision): string {
  return kv === 'float32' ? name : name.replace('.onnx', '-kv16.onnx');
}

/** Name of a layer's keys (0) or values (1) in the KV arena: read as `past_...`, written as `present_...`. */
export function kvName(state: 'past' | 'present', group: string, layer: number, kv: 0 | 1): string {
  return `${state}_${group}_${layer}_${kv === 0 ? 'key' : 'value'}`;
}
