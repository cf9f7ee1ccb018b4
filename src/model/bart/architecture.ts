import type { Architecture } from '../architecture.js';
import { type BartConfig, parseConfig, shapeOf } from './config.js';
import { graphNames, writeGraph } from './graphs.js';
import { BartTransformer } from './transformer.js';
import { compiledSpecs, EMBEDDINGS, matrixOf, weightName, weightSpecs } from './weights.js';

/** BART: an encoder and a decoder, prefixes at three sites. */
export const bart: Architecture<BartConfig> = {
  name: 'bart',
  title: 'a BART with a language-model head',
  tokenEmbeddings: EMBEDDINGS,
  parseConfig,
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

/** Sorted by field: the order in which a configuration is read must not matter. */
function fingerprintText(config: BartConfig): string {
  const entries = Object.entries(config).filter(([field]) => field !== 'eosTokenIds' && field !== 'generation');
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
