import type { EncoderDecoder } from '../../model/encoder-decoder.js';
import type { Transformer } from '../../model/transformer.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';

/** A model's output layer; a bias where the model has one. */
type Head = Pick<Transformer, 'graph' | 'headMatrix'> & Partial<Pick<EncoderDecoder, 'headBias'>>;

/** Parts that the learned positions are worked off in, one after another: only one part's logits are held. */
export const LOSS_CHUNKS = 4;

/**
 * Cross-entropy of hidden states [K, width] with `targets`, as the output `losses` [K, 1].
 * Returns the gradient of sum(weights * losses) with respect to the hidden states when asked:
 * `w * (softmax @ E - E[target])`. It is written here and not derived because it needs no one-hot row of the vocabulary.
 */
export function writeLoss(model: Head, hidden: Value, gradient: boolean): Value | undefined {
  const { graph } = model;
  const split = (value: Value): Value[] =>
    graph.nodes('Split', [value], LOSS_CHUNKS, { axis: 0, num_outputs: LOSS_CHUNKS });
  const targets = split(graph.input('targets', 'int32', ['learned']));
  const parts = split(hidden).map((part, index) => writeChunk(model, part, targets[index] as Value, gradient));
  graph.nodes(
    'Concat',
    parts.map(([loss]) => loss),
    ['losses'],
    { axis: 0 },
  );
  if (!gradient) return undefined;
  const weights = graph.input('weights', 'float32', ['learned', 1]);
  const rises = graph.node(
    'Concat',
    parts.map(([, rise]) => rise),
    { axis: 0 },
  );
  return graph.node('Mul', [rises, weights]);
}

/** One part's losses [n, 1] and, when asked, their gradient with respect to its hidden states [n, width]. */
function writeChunk(model: Head, hidden: Value, targets: Value, gradient: boolean): [Value, Value | undefined] {
  const { graph } = model;
  const matrix = model.headMatrix();
  const bias = model.headBias?.();
  const logits = graph.node('Gemm', [hidden, matrix, ...(bias === undefined ? [] : [bias])], { transB: 1 });
  const logProbabilities = graph.node('LogSoftmax', [logits], { axis: 1 });
  const chosen = graph.node('GatherElements', [logProbabilities, column(graph, targets)], { axis: 1 });
  const loss = graph.node('Neg', [chosen]);
  if (!gradient) return [loss, undefined];
  const expected = graph.node('Gemm', [graph.node('Exp', [logProbabilities]), matrix]);
  return [loss, graph.node('Sub', [expected, graph.node('Gather', [matrix, targets])])];
}

/** [n] to [n, 1]. */
function column(graph: GraphBuilder, value: Value): Value {
  return graph.node('Unsqueeze', [value, graph.int64([1])]);
}
