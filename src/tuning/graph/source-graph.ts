import type { EncoderDecoder } from '../../model/encoder-decoder.js';
import { addGradients } from '../../onnx/autodiff/gradients.js';
import type { Value } from '../../onnx/graph.js';
import type { ModelShape } from '../../prefix/kv.js';
import { writeLoss } from './loss.js';
import { siteAttentions, type TrainedRows } from './site-attention.js';

/** Parts of the learned positions: a run has few (`stepParts`), and every part would pack the head's matrix anew. */
const CHUNKS = 1;
/** Input with the head's matrix `[vocabulary, width]`, in graphs of encoder-decoders that compute gradients. */
export const HEAD_INPUT = 'head_matrix';

/**
 * Loss of a batch in an encoder-decoder, and its gradients. B rows: sources of S tokens at most, N together; targets of T at most, M
 * together, with the decoder's start tokens. Only what depends on a parameter has a gradient: the encoder does if it has virtual tokens.
 *
 * Inputs: `source_ids`, `source_positions` [N]; `target_ids`, `target_positions` [M]; those of `PaddedRows` for `encoder` (sources in the
 * encoder's heads), `source` (in those of cross-attention) and `target`; `encoder_mask`, `cross_mask` [B, 1, 1, P + S] and `decoder_mask`
 * [1, 1, T, P + T], added to the scores, where P is the site's virtual tokens. The rest, and the outputs, are those of `trainingGraph`;
 * `keep_back` is [M]. For gradients also `HEAD_INPUT`: a product with an input packs no copy of it, and the table lies in memory as it is,
 * because embeddings are looked up there.
 */
export function writeSourceGraph(
  model: EncoderDecoder,
  trained: TrainedRows,
  { gradients, frozen }: { readonly gradients: boolean; readonly frozen: ModelShape },
): void {
  const { graph } = model;
  const attentions = siteAttentions(model, trained);
  const embed = (side: 'encoder' | 'decoder', rows: 'source' | 'target'): Value => {
    const [ids, positions] = ['ids', 'positions'].map((of) =>
      graph.input(`${rows}_${of}`, 'int32', [`${rows}_tokens`]),
    );
    return model.addPositions(side, model.tokenEmbeddings(ids as Value), positions as Value);
  };
  const encoded = model.encode(embed('encoder', 'source'), attentions.encoder);
  const keep = graph.input('keep', 'int32', ['learned']);
  const hidden = model.decode(embed('decoder', 'target'), keep, attentions.decoder, (layer, query) =>
    attentions.cross(layer, { query, ...model.crossKeyValue(layer, encoded) }),
  );
  const { vocabularySize, width } = frozen;
  const gradientMatrix = gradients ? graph.input(HEAD_INPUT, 'float32', [vocabularySize, width]) : undefined;
  const seed = writeLoss(model, hidden, { gradients, width, chunks: CHUNKS, gradientMatrix });
  graph.output('losses', 'float32', ['learned', 1]);
  if (seed === undefined) return;
  const { parameters } = trained;
  const kept = { index: graph.input('keep_back', 'int32', ['target_tokens']), zeros: true };
  const { inverses, shapes } = attentions.known();
  const known = { inverses: new Map([...inverses, [keep, kept]]), shapes };
  parameters.output(addGradients(graph, new Map([[hidden, seed]]), parameters.names, known));
}
