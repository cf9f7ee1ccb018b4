import { architectureNamed } from '../../model/architectures.js';
import type { Manifest } from '../../model/compile/compiled-model.js';
import type { EncoderDecoder } from '../../model/encoder-decoder.js';
import type { Transformer } from '../../model/transformer.js';
import { addGradients } from '../../onnx/autodiff/gradients.js';
import { GraphBuilder, type Value } from '../../onnx/graph.js';
import { rowSets, type RowSet, type TunedShape } from '../method.js';
import { PrefixedAttention, selfAttention, splitQkv } from './attention.js';
import { writeLoss } from './loss.js';
import { Parameters } from './parameters.js';
import { writeSourceGraph } from './source-graph.js';
import { writeWordsGraph } from './words-graph.js';

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
 * Loss of a batch, and its gradients; for an encoder-decoder see `writeSourceGraph`. N tokens of B rows, of which the longest has T.
 *
 * Inputs: `ids`, `positions` [N]; `pad`, `unpad` (see `Padding`); `mask` [B or 1, 1, T, P + T], added to the scores;
 * `virtual_positions` = 0 to P - 1 for embeddings; `keep`, `targets` [K], the tokens whose next token is learned, and these
 * tokens; `weights` [K, 1], of each in the loss; and the parameters. K is a multiple of `LOSS_CHUNKS`. For gradients also `pad_back`,
 * `unpad_back`, and `keep_back` [N]: which of K a token is, or K for none. Outputs: `losses` [K, 1], in nats, before the weights; and
 * `grad_NAME` for each parameter, of the weighted sum.
 */
export function trainingGraph({ manifest, shape, gradients }: TrainingGraphOptions): GraphBuilder {
  const graph = new GraphBuilder('training');
  const { shape: frozen } = manifest;
  const parameters = new Parameters(graph, frozen, shape);
  const sets = rowSets(frozen, shape);
  if (shape.sites !== undefined) {
    writeSourceGraph(encoderDecoder(graph, manifest), { parameters, sets }, { gradients, frozen });
    return graph;
  }
  const model = transformer(graph, manifest);
  const rows = parameters.rows(sets[0] as RowSet);
  const prefix = shape.method === 'embedding' ? encode(model, rows, shape.length) : rows;

  const ids = graph.input('ids', 'int32', ['tokens']);
  const positions = graph.input('positions', 'int32', ['tokens']);
  const embedded = model.embed(ids, positions);
  const keep = graph.input('keep', 'int32', ['learned']);
  const attention = new PrefixedAttention(model, prefix, shape.length);
  const hidden = model.layers({ embedded, positions, keep }, (layer, qkv) => attention.attend(layer, qkv));

  const seed = writeLoss(model, hidden, { gradients, width: frozen.width });
  graph.output('losses', 'float32', ['learned', 1]);
  if (seed !== undefined) {
    const kept = { index: graph.input('keep_back', 'int32', ['tokens']), zeros: true };
    const { inverses, shapes } = attention.known();
    const known = {
      inverses: new Map([...inverses, [keep, kept]]),
      shapes: new Map([...shapes, ...(model.shapes ?? [])]),
    };
    parameters.output(addGradients(graph, new Map([[hidden, seed]]), parameters.names, known));
  }
  return graph;
}

/** Keys and values of a text in an encoder-decoder: see `writeWordsGraph`. */
export function wordsGraph(manifest: Manifest, length: number): GraphBuilder {
  const graph = new GraphBuilder('words');
  writeWordsGraph(encoderDecoder(graph, manifest), length);
  return graph;
}

function transformer(graph: GraphBuilder, { architecture, config, weights }: Manifest): Transformer {
  const source = { config, weights, weightsFile: EXTERNAL_WEIGHTS };
  const model = architectureNamed(architecture).transformer?.(graph, source, 'differentiable');
  if (model === undefined) throw new Error(`${architecture} is no decoder-only model`);
  return model;
}

function encoderDecoder(graph: GraphBuilder, { architecture, config, weights }: Manifest): EncoderDecoder {
  const source = { config, weights, weightsFile: EXTERNAL_WEIGHTS };
  const model = architectureNamed(architecture).encoderDecoder?.(graph, source, 'differentiable');
  if (model === undefined) throw new Error(`${architecture} is no encoder-decoder`);
  return model;
}

/** Input embeddings [P, width] at positions 0 to P - 1, through the frozen model: their keys and values [P, rowWidth(site)]. */
function encode(model: Transformer, embeddings: Value, length: number): Value {
  const { graph } = model;
  const positions = graph.input('virtual_positions', 'int32', [length]); // not constant: nothing to fold weights with
  const blocks: Value[] = [];
  const embedded = model.addPositions(embeddings, positions);
  model.layers({ embedded, positions, keep: graph.int64([0]) }, (layer, qkv) => {
    const parts = splitQkv(graph, model.site, qkv);
    blocks.push(...parts.slice(1));
    return selfAttention(model, layer, parts, length);
  });
  return graph.node('Concat', blocks, { axis: 1 });
}
