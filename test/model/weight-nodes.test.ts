import { describe, expect, it } from 'vitest';

import { GraphBuilder } from '../../src/onnx/graph.js';
import { WeightNodes } from '../../src/model/weight-nodes.js';
import { layOut, type WeightSpec } from '../../src/model/weights.js';

describe('matrices that are read as one', () => {
  const nodesOf = (specs: readonly WeightSpec[]): { nodes: WeightNodes; graph: GraphBuilder } => {
    const graph = new GraphBuilder('test');
    const { spans } = layOut(specs);
    return { graph, nodes: new WeightNodes(graph, { weights: spans, weightsFile: 'weights.bin', config: {} }) };
  };

  it('are those that lie one behind the other in the file', () => {
    const { nodes, graph } = nodesOf([
      { name: 'before', shape: [3, 16] },
      { name: 'a', shape: [2, 16] },
      { name: 'bias', shape: [5] }, // vectors lie apart
      { name: 'b', shape: [5, 16] },
    ]);
    const weight = graph.weight.bind(graph);
    const asked: unknown[][] = [];
    graph.weight = (...given) => (asked.push(given), weight(...given));
    expect(nodes.joined('ab', ['a', 'b'])).toBe('ab');
    const offset = 64 + 3 * 16 * 4;
    expect(asked).toEqual([['ab', [7, 16], { file: 'weights.bin', offset, bytes: 7 * 16 * 4 }, undefined]]);
  });

  it('are none where bytes lie between them, where the order is another, and where one is missing', () => {
    const { nodes } = nodesOf([
      { name: 'a', shape: [1, 3] }, // 12 bytes, and the next one begins at 64
      { name: 'b', shape: [1, 3] },
      { name: 'c', shape: [1, 16] },
      { name: 'd', shape: [1, 16] },
    ]);
    expect(nodes.joined('ab', ['a', 'b'])).toBeUndefined();
    expect(nodes.joined('dc', ['d', 'c'])).toBeUndefined();
    expect(nodes.joined('ce', ['c', 'e'])).toBeUndefined();
  });
});
