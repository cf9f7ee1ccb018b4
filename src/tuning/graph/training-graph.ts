import { architectureNamed } from '../../model/architectures.js';
import type { Manifest } from '../../model/compile/compiled-model.js';
import type { Transformer } from '../../model/transformer.js';
import type { ModelShape } from '../../prefix/kv.js';
import { addGradients } from '../../onnx/autodiff/gradients.js';
import { GraphBuilder, type Value } from '../../onnx/graph.js';
import { type ParameterName, parameterShapes, exportedColumns, type TunedShape } from '../method.js';
import { PrefixedAttention, selfAttention, splitKv } from './attention.js';
import { writeLoss } from './loss.js';

/** The file that the graph says its weights are in; a session gets them as tensors. */
export const EXTERNAL_WEIGHTS = 'weights.bin';

export interface TrainingGraphOptions {
  /** The frozen model's. */
  readonly manifest: Manifest;
  readonly shape: TunedShape;
  /** Whether the graph computes gradients beside the loss. */
  readonly gradients: boolean;
}

/**
 * Loss of a batch, and its gradients. N tokens of B rows, of which the longest has T.
 *
 * Inputs: `ids`, `positions` [N]; `pad`, `unpad` (see `Padding`); `mask` [B or 1, 1, T, P + T], added to the scores;
 * `virtual_positions` = 0 to P - 1 for embeddings; `keep`, `targets` [K], the tokens whose next token is learned, and these
 * tokens; `weights` [K, 1], of each in the loss; and the parameters. K is a multiple of `LOSS_CHUNKS`. For gradients also `pad_back`,
 * `unpad_back`, and `keep_back` [N]: which of K a token is, or K for none. Outputs: `losses` [K, 1], in nats, before the weights; and
 * `grad_NAME` for each parameter, of the weighted sum.
 */
export function trainingGraph({ manifest, shape, gradients }: TrainingGraphOptions): GraphBuilder {
  const graph = new GraphBuilder('training');
  const { architecture, config, weights, shape: frozen } = manifest;
  const source = { config, weights, weightsFile: EXTERNAL_WEIGHTS };
  const model = architectureNamed(architecture).transformer?.(graph, source, 'differentiable');
  if (model === undefined) throw new Error(`${architecture} is no decoder-only model`);
  const parameters = writeParameters(graph, frozen, shape);
  const rows = writeRows(graph, parameters);
  const prefix = shape.method === 'embedding' ? encode(model, rows, shape.length) : rows;

  const ids = graph.input('ids', 'int32', ['tokens']);
  const embedded = model.embed(ids, graph.input('positions', 'int32', ['tokens']));
  const keep = graph.input('keep', 'int32', ['learned']);
  const attention = new PrefixedAttention(model, prefix, shape.length);
  const hidden = model.layers(embedded, keep, (layer, qkv) => attention.attend(layer, qkv));

  const seed = writeLoss(model, hidden, gradients);
  graph.output('losses', 'float32', ['learned', 1]);
  if (seed !== undefined) {
    const kept = { index: graph.input('keep_back', 'int32', ['tokens']), zeros: true };
    const inverses = new Map([...attention.inverses(), [keep, kept]]);
    const gradients = addGradients(graph, new Map([[hidden, seed]]), [...parameters.values()], inverses);
    outputGradients(graph, gradients, parameters, parameterShapes(frozen, shape));
  }
  return graph;
}

/** The rows that are exported, from the parameters: `rows` [P, columns]. It has no weight of the model. */
export function rowsGraph(frozen: ModelShape, shape: TunedShape): GraphBuilder {
  const graph = new GraphBuilder('rows');
  graph.nodes('Identity', [writeRows(graph, writeParameters(graph, frozen, shape))], ['exported']);
  graph.output('exported', 'float32', [shape.length, exportedColumns(frozen, shape.method)]);
  return graph;
}

type Parameters = ReadonlyMap<ParameterName, Value>;

function writeParameters(graph: GraphBuilder, frozen: ModelShape, shape: TunedShape): Parameters {
  const shapes = Object.entries(parameterShapes(frozen, shape)) as [ParameterName, readonly number[]][];
  return new Map(shapes.map(([name, dims]) => [name, graph.input(name, 'float32', dims)]));
}

/** `rows` itself, or what the MLP makes of its input. */
function writeRows(graph: GraphBuilder, parameters: Parameters): Value {
  const direct = parameters.get('rows');
  if (direct !== undefined) return direct;
  const linear = (x: Value | undefined, w: ParameterName, b: ParameterName): Value =>
    graph.node('Gemm', [x, parameters.get(w), parameters.get(b)], { transB: 1 });
  return linear(graph.node('Tanh', [linear(parameters.get('wte'), 'w0', 'b0')]), 'w2', 'b2');
}

/** Input embeddings [P, width] at positions 0 to P - 1, through the frozen model: their keys and values [P, rowWidth(site)]. */
function encode(model: Transformer, embeddings: Value, length: number): Value {
  const { graph } = model;
  const positions = graph.input('virtual_positions', 'int32', [length]); // not constant: nothing to fold weights with
  const blocks: Value[] = [];
  model.layers(model.addPositions(embeddings, positions), graph.int64([0]), (layer, qkv) => {
    blocks.push(...splitKv(graph, qkv));
    return selfAttention(model, layer, qkv, length);
  });
  return graph.node('Concat', blocks, { axis: 1 });
}

function outputGradients(
  graph: GraphBuilder,
  gradients: ReadonlyMap<Value, Value>,
  parameters: Parameters,
  shapes: ReturnType<typeof parameterShapes>,
): void {
  for (const [name, value] of parameters) {
    const output = `grad_${name}`;
    graph.nodes('Identity', [gradients.get(value)], [output]);
    graph.output(output, 'float32', shapes[name] ?? []);
  }
}
