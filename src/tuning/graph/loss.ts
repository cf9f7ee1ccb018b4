import type { EncoderDecoder } from '../../model/encoder-decoder.js';
import type { Transformer } from '../../model/transformer.js';
import type { GraphBuilder, Value } from '../../onnx/graph.js';

/** A model's output layer; a bias where the model has one. */
type Head = Pick<Transformer, 'graph' | 'headMatrix'> & Partial<Pick<EncoderDecoder, 'headBias'>>;

/** Parts that a decoder-only model's learned positions are worked off in, one after another: only one part's logits are held. */
export const LOSS_CHUNKS = 4;

export interface LossOptions {
  /** Whether the gradient is written too. */
  readonly gradients: boolean;
  /** Of hidden states. */
  readonly width: number;
  /** Parts of the learned positions: `LOSS_CHUNKS` unless given, or a divisor of it. */
  readonly chunks?: number;
  /** The head's matrix in the gradient's product, if another value than `headMatrix` holds it. */
  readonly gradientMatrix?: Value | undefined;
}

/**
 * Cross-entropy of hidden states [K, width] with `targets`, as the output `losses` [K, 1].
 * Returns the gradient of sum(weights * losses) with respect to the hidden states when asked:
 * `w * (softmax @ E - E[target])`. It is written here and not derived because it needs no one-hot row of the vocabulary.
 */
export function writeLoss(model: Head, hidden: Value, options: LossOptions): Value | undefined {
  const { graph } = model;
  const { gradients, width, chunks = LOSS_CHUNKS } = options;
  const split = (value: Value): Value[] => graph.nodes('Split', [value], chunks, { axis: 0, num_outputs: chunks });
  const targets = split(graph.input('targets', 'int32', ['learned']));
  const parts = split(hidden).map((part, index) => writeChunk(model, part, targets[index] as Value, options));
  if (!gradients) {
    graph.nodes('Concat', parts, ['losses'], { axis: 0 });
    return undefined;
  }
  const joined = graph.node('Concat', parts, { axis: 0 });
  const sizes = graph.int64([1, width]);
  const [losses, rises] = graph.nodes('Split', [joined, sizes], 2, { axis: 1 });
  graph.nodes('Identity', [losses], ['losses']);
  return graph.node('Mul', [rises, graph.input('weights', 'float32', ['learned', 1])]);
}

/**
 * One part's losses [n, 1], and when asked, behind them, their gradient with respect to its hidden states: [n, 1 + width]. In one tensor,
 * because ONNX Runtime would otherwise compute all losses last, and keep every part's logits until then.
 */
function writeChunk(model: Head, hidden: Value, targets: Value, options: LossOptions): Value {
  const { graph } = model;
  const matrix = model.headMatrix();
  const { gradients, gradientMatrix = matrix } = options;
  const bias = model.headBias?.();
  const logits = graph.node('Gemm', [hidden, matrix, ...(bias === undefined ? [] : [bias])], { transB: 1 });
  const logProbabilities = graph.node('LogSoftmax', [logits], { axis: 1 });
  const chosen = graph.node('GatherElements', [logProbabilities, column(graph, targets)], { axis: 1 });
  const loss = graph.node('Neg', [chosen]);
  if (!gradients) return loss;
  const expected = graph.node('Gemm', [graph.node('Exp', [logProbabilities]), gradientMatrix]);
  const rise = graph.node('Sub', [expected, graph.node('Gather', [matrix, targets])]);
  return graph.node('Concat', [loss, rise], { axis: 1 });
}

/** [n] to [n, 1]. */
function column(graph: GraphBuilder, value: Value): Value {
  return graph.node('Unsqueeze', [value, graph.int64([1])]);
}
