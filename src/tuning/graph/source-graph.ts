import type { EncoderDecoder } from '../../model/encoder-decoder.js';
import { addGradients } from '../../onnx/autodiff/gradients.js';
import type { Value } from '../../onnx/graph.js';
import { writeLoss } from './loss.js';
import { siteAttentions, type TrainedRows } from './site-attention.js';

/**
 * Loss of a batch in an encoder-decoder, and its gradients. B rows: sources of S tokens at most, N together; targets of T at most, M
 * together, with the decoder's start tokens. Only what depends on a parameter has a gradient: the encoder does if it has virtual tokens.
 *
 * Inputs: `source_ids`, `source_positions` [N]; `target_ids`, `target_positions` [M]; those of `PaddedRows` for `encoder` (sources in the
 * encoder's heads), `source` (in those of cross-attention) and `target`; `encoder_mask`, `cross_mask` [B, 1, 1, P + S] and `decoder_mask`
 * [1, 1, T, P + T], added to the scores, where P is the site's virtual tokens. The rest, and the outputs, are those of `trainingGraph`;
 * `keep_back` is [M].
 */
export function writeSourceGraph(model: EncoderDecoder, trained: TrainedRows, gradients: boolean): void {
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
  const seed = writeLoss(model, hidden, gradients);
  graph.output('losses', 'float32', ['learned', 1]);
  if (seed === undefined) return;
  const { parameters } = trained;
  const kept = { index: graph.input('keep_back', 'int32', ['target_tokens']), zeros: true };
  const inverses = new Map([...attentions.inverses(), [keep, kept] as const]);
  parameters.output(addGradients(graph, new Map([[hidden, seed]]), parameters.names, inverses));
}
