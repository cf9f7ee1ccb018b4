import type { Architecture } from '../architecture.js';
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

/** Sorted by field: the order in which a configuration is read must not matter. Most heads are tied, and a text without the field is theirs. */
function fingerprintText(config: BartConfig): string {
  const { eosTokenIds: _ids, generation: _generation, ownHead, ...rest } = config;
  const entries = Object.entries(ownHead ? { ...rest, ownHead } : rest);
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
