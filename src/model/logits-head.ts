import type { GraphBuilder, Value } from '../onnx/graph.js';
import type { GraphTarget } from './architecture.js';

/** A model's head. */
interface LogitsHead {
  readonly graph: GraphBuilder;
  readonly vocabularySize: number;
  /** Writes float32 logits `[kept, vocabulary]` of hidden states `[kept, width]`, under the name `output`. */
  readonly head: (hidden: Value, output: Value) => void;
}

/**
 * Logits, their best k in order, and the log of their exponentials' sum, plain and after temperature.
 * Inputs: `k` [1], `temperature` [kept, 1]. Outputs: `logits` [kept, vocabulary], `top_logits`, `top_ids` [kept, k],
 * `lse`, `tempered_lse` [kept, 1]. A device's `top_ids` are int64: WebGPU does not cast them.
 */
export function writeLogits(
  { graph, vocabularySize, head }: LogitsHead,
  hidden: Value,
  target: GraphTarget = 'cpu',
): void {
  const k = graph.input('k', 'int64', [1]);
  const temperature = graph.input('temperature', 'float32', ['kept', 1]);
  head(hidden, 'logits');
  if (target === 'cpu') {
    const [, ids] = graph.nodes('TopK', ['logits', k], ['top_logits', 'top_ids_int64'], { axis: 1 });
    graph.nodes('Cast', [ids], ['top_ids'], { to: 6 });
    writeLogSumExp(graph, 'logits', 'lse');
    writeLogSumExp(graph, graph.node('Div', ['logits', temperature]), 'tempered_lse');
  } else {
    graph.nodes('TopK', ['logits', k], ['top_logits', 'top_ids'], { axis: 1 });
    writeLogSumExps(graph, temperature);
  }
  graph.output('logits', 'float32', ['kept', vocabularySize]);
  graph.output('top_logits', 'float32', ['kept', 'best']);
  graph.output('top_ids', target === 'cpu' ? 'int32' : 'int64', ['kept', 'best']);
  graph.output('lse', 'float32', ['kept', 1]);
  graph.output('tempered_lse', 'float32', ['kept', 1]);
}

/** x[:, 0] - logSoftmax(x)[:, 0]: LogSoftmax is several times faster than ReduceLogSumExp. */
function writeLogSumExp(graph: GraphBuilder, x: Value, output: string): void {
  const first = (value: Value): Value =>
    graph.node('Slice', [value, graph.int64([0]), graph.int64([1]), graph.int64([1])]);
  graph.nodes('Sub', [first(x), first(graph.node('LogSoftmax', [x], { axis: 1 }))], [output]);
}

/** The same two outputs by their definition, the largest logit taken out: WebGPU has no LogSoftmax. */
function writeLogSumExps(graph: GraphBuilder, temperature: Value): void {
  const largest = graph.node('Slice', ['top_logits', graph.int64([0]), graph.int64([1]), graph.int64([1])]);
  const below = graph.node('Sub', ['logits', largest]);
  const logSumExp = (x: Value, most: Value, output: string): void => {
    const sum = graph.node('ReduceSum', [graph.node('Exp', [x]), graph.int64([1])]);
    graph.nodes('Add', [most, graph.node('Log', [sum])], [output]);
  };
  logSumExp(below, largest, 'lse');
  logSumExp(graph.node('Div', [below, temperature]), graph.node('Div', [largest, temperature]), 'tempered_lse');
}
