import type { Architecture } from '../architecture.js';
import { sortedFields } from '../sorted-fields.js';
import { type BartConfig, parseConfig, shapeOf } from './config.js';
import { graphNames, writeGraph } from './graphs.js';
import { BartTransformer } from './transformer.js';
import {
  compiledSpecs,
  EMBEDDING_COPIES,
  EMBEDDINGS,
  LOGITS_BIAS,
  matrixOf,
  weightName,
  weightSpecs,
} from './weights.js';

/** BART: an encoder and a decoder, prefixes at three sites. */
export const bart: Architecture<BartConfig> = {
  name: 'bart',
  title: 'a BART with a language-model head',
  tokenEmbeddings: EMBEDDINGS,
  embeddingCopies: EMBEDDING_COPIES,
  zeros: new Set([LOGITS_BIAS]),
  parseConfig,
  withOwnHead: (config) => ({ ...config, ownHead: true }),
  shape: shapeOf,
  eosTokenIds: ({ eosTokenIds }) => eosTokenIds,
  generation: ({ generation }) => ({ ...generation, maxTokens: generation.maxTokens ?? undefined }),
  fingerprintText,
  weightName,
  weights: weightSpecs,
  compiledWeights: compiledSpecs,
  matrixOf,
  graphs: graphNames,
  writeGraph,
  encoderDecoder: (graph, source, form) => new BartTransformer(graph, source, form),
};

/** Most heads are tied, and a text without the field is theirs. */
function fingerprintText(config: BartConfig): string {
  const { eosTokenIds: _ids, generation: _generation, ownHead, ...rest } = config;
  return JSON.stringify(sortedFields(ownHead ? { ...rest, ownHead } : rest));
}
