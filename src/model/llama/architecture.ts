import { type Architecture, HEAD_WEIGHT } from '../architecture.js';
import { decoderGraphs } from '../decoder-graphs.js';
import { type LlamaConfig, parseConfig, shapeOf } from './config.js';
import { FAMILIES } from './families.js';
import { LlamaTransformer } from './transformer.js';
import { EMBEDDINGS, matrixOf, weightName, weightSpecs } from './weights.js';

/** Llama and the families that are computed like it. */
export const llama: Architecture<LlamaConfig> = {
  name: 'llama',
  modelTypes: Object.keys(FAMILIES),
  title: 'a model of the Llama family with a language-model head',
  tokenEmbeddings: EMBEDDINGS,
  embeddingCopies: [HEAD_WEIGHT],
  specialTokensInPrompts: true,
  parseConfig,
  withOwnHead: (config) => ({ ...config, tiedHead: false }),
  shape: shapeOf,
  eosTokenIds: ({ eosTokenIds }) => eosTokenIds,
  fingerprintText,
  weightName,
  weights: weightSpecs,
  compiledWeights: weightSpecs,
  matrixOf,
  ...decoderGraphs((graph, source) => new LlamaTransformer(graph, source)),
  transformer: (graph, source, form) => new LlamaTransformer(graph, source, form),
};

/** Sorted by field, at both levels: the order in which a configuration is read must not matter. */
function fingerprintText(config: LlamaConfig): string {
  const sorted = (object: object): [string, unknown][] =>
    Object.entries(object)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([field, value]) => [field, typeof value === 'object' && value !== null ? sorted(value as object) : value]);
  const { eosTokenIds: _ids, ...rest } = config;
  return JSON.stringify(sorted(rest));
}
