import { type Architecture, HEAD_WEIGHT } from '../architecture.js';
import { decoderGraphs } from '../decoder-graphs.js';
import { type LlamaConfig, parseConfig, shapeOf } from './config.js';
import { FAMILIES } from './families.js';
import { sortedFields } from '../sorted-fields.js';
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
  modelType: ({ family }) => family,
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

function fingerprintText({ eosTokenIds: _ids, family: _family, rotation, biases, ...rest }: LlamaConfig): string {
  return JSON.stringify(sortedFields({ ...rest, rotation: sortedFields(rotation), biases: sortedFields(biases) }));
}
