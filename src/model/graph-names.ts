import { ENCODER, type ModelShape, siteNamed } from '../prefix/kv.js';
import type { KvPrecision } from './precision.js';

/** The file of a graph for keys and values of a type: each graph is written for both. */
export function graphFile(name: string, kv: KvPrecision): string {
  return kv === 'float32' ? name : name.replace('.onnx', '-kv16.onnx');
}

/** File of the graph for a stage of encoding a source: from 0 to the number of encoder layers. */
export function encodeName(stage: number): string {
  return `encode-${stage}.onnx`;
}

/** Files of the graphs for all stages of encoding a source, in order. */
export function encodeNames(shape: ModelShape): string[] {
  return Array.from({ length: siteNamed(shape, ENCODER).layers + 1 }, (_, stage) => encodeName(stage));
}

/** File of the graph that writes virtual tokens into a source slot. */
export const APPEND_CROSS = 'append-cross.onnx';

/** File of the graph for steps of a kind. An encoder-decoder has one for each form of its cross-attention. */
export function stepGraph(kind: 'uniform' | 'mixed', cross: 'fused' | 'plain' = 'fused'): string {
  return cross === 'fused' ? `${kind}.onnx` : `${kind}-plain.onnx`;
}

/** Slots that a run treats alike: those of the rows, that of the chunk, or source slots. */
export type AttentionGroup = 'rows' | 'chunk' | 'cross';

/** Name, in inputs and outputs, of an attention node of a group: nodes after the first are numbered. */
export function nodeName(group: AttentionGroup, node: number): string {
  return node === 0 ? group : `${group}_${node}`;
}

/** Name of a layer's keys (0) or values (1) in the KV arena: read as `past_...`, written as `present_...`. */
export function kvName(state: 'past' | 'present', node: string, layer: number, kv: 0 | 1): string {
  return `${state}_${node}_${layer}_${kv === 0 ? 'key' : 'value'}`;
}
