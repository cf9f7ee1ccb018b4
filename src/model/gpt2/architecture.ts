import { type Architecture, HEAD_WEIGHT, type Matrix } from '../architecture.js';
import { decoderGraphs } from '../decoder-graphs.js';
import { sortedFields } from '../sorted-fields.js';
import type { WeightSpec } from '../weights.js';
import { type Gpt2Config, parseConfig, shapeOf } from './config.js';
import { Gpt2Transformer } from './transformer.js';
import { compiledSpecs, weightSpecs } from './weights.js';

/** Causal masks that older checkpoints carry: not weights. */
const CAUSAL_MASK = /^h\.\d+\.attn\.(bias|masked_bias)$/;

/** GPT-2 and everything that is computed like it. */
export const gpt2: Architecture<Gpt2Config> = {
  name: 'gpt2',
  title: 'a GPT-2 with a language-model head',
  tokenEmbeddings: 'wte.weight',
  embeddingCopies: [HEAD_WEIGHT],
  parseConfig,
  withOwnHead: (config) => ({ ...config, tiedHead: false }),
  shape: shapeOf,
  eosTokenIds: ({ eosTokenIds }) => eosTokenIds,
  fingerprintText,
  weightName,
  weights: weightSpecs,
  compiledWeights: compiledSpecs,
  matrixOf,
  ...decoderGraphs((graph, source) => new Gpt2Transformer(graph, source)),
  transformer: (graph, source, form) => new Gpt2Transformer(graph, source, form),
};

function fingerprintText({ eosTokenIds: _ids, ...rest }: Gpt2Config): string {
  return JSON.stringify(sortedFields(rest));
}

function weightName(tensor: string): string | undefined {
  const name = tensor.replace(/^transformer\./, '');
  return CAUSAL_MASK.test(name) ? undefined : name;
}

function matrixOf({ name, shape }: WeightSpec, { tiedHead }: Gpt2Config): Matrix | undefined {
  const [first, second] = shape;
  if (first === undefined || second === undefined || name === 'wpe.weight') return undefined;
  const isEmbedding = name === 'wte.weight';
  if (isEmbedding && !tiedHead) return undefined;
  if (isEmbedding || name === HEAD_WEIGHT) {
    return { name: 'lm_head', inputs: second, outputs: first, outputsFirst: true, isEmbedding };
  }
  return { name: name.replace(/\.weight$/, ''), inputs: first, outputs: second, outputsFirst: false, isEmbedding };
}
