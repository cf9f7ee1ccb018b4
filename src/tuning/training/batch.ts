import { type ModelShape, queryHeadsOf, selfSite } from '../../prefix/kv.js';
import type { TokenExample } from '../data/example.js';
import { MASKED } from '../graph/attention.js';
import type { TunedShape } from '../method.js';
import type { LossMean } from '../settings.js';
import { type Batch, type FloatInput, indexInput } from './batch-inputs.js';
import { learnedTokens } from './learned-tokens.js';
import { makePadding } from './padding.js';
import { makeSourceBatch } from './source-batch.js';

/** Tokens of an example that a decoder-only model reads: all but the last target. */
function inputLength({ source, target }: Pick<TokenExample, 'source' | 'target'>): number {
  return source.length + target.length - 1;
}

/**
 * Packs examples, one after another, for the graph of `shape`. Only target tokens are learned.
 * @param mean what the loss is the mean of; sentences unless given
 */
export function makeBatch(
  examples: readonly TokenExample[],
  frozen: ModelShape,
  shape: TunedShape,
  mean: LossMean = 'sentences',
): Batch {
  return packBatch(examples, frozen, shape, tokenWeight(examples, mean));
}

/**
 * Weight of each learned token in the loss of `examples`: the loss is the sum over a sentence and the mean over the batch (Li & Liang's code
 * for GPT-2, objective mode 1), or the mean over all learned tokens (their code for BART).
 */
export function tokenWeight(examples: readonly Pick<TokenExample, 'target'>[], mean: LossMean): number {
  return 1 / (mean === 'tokens' ? examples.reduce((sum, { target }) => sum + target.length, 0) : examples.length);
}

/** `makeBatch`, of examples that may be a part of a batch: `weight` is that of each learned token. */
export function packBatch(
  examples: readonly TokenExample[],
  frozen: ModelShape,
  shape: TunedShape,
  weight: number,
): Batch {
  if (shape.sites !== undefined) return makeSourceBatch(examples, frozen, shape.sites, weight);
  const lengths = examples.map(inputLength);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(tokens);
  const positions = new Int32Array(tokens);
  let start = 0;
  const rows = examples.map((example) => {
    const { source, target } = example;
    ids.set([...source, ...target.slice(0, -1)], start);
    const before = shape.method === 'infix' ? source.length - 1 : 0; // from here on, tokens stand behind the virtual ones
    for (let t = 0; t < inputLength(example); t++) positions[start + t] = t < before ? t : t + shape.length;
    const first = start + source.length - 1;
    start += inputLength(example);
    return { first, target };
  });
  const site = selfSite(frozen);
  const queries = queryHeadsOf(site) / site.kvHeads;
  const padding = makePadding(lengths, { heads: site.kvHeads, queries, hasKeys: true });
  const { inputs, ...counts } = learnedTokens(rows, tokens, weight);
  return {
    ...counts,
    tokens,
    inputs: {
      ...inputs,
      ids: indexInput(ids),
      positions: indexInput(positions),
      virtual_positions: indexInput(Int32Array.from({ length: shape.length }, (_, position) => position)),
      pad: padding.pad,
      pad_back: padding.padBack,
      unpad: padding.unpad,
      unpad_back: padding.unpadBack,
      mask: makeMask(examples, Math.max(...lengths), shape),
    },
  };
}

/** Causal, behind virtual tokens that all tokens see, or, for an infix, those from the source's last one on. */
function makeMask(examples: readonly TokenExample[], width: number, { method, length }: TunedShape): FloatInput {
  const infix = method === 'infix';
  const masks = infix ? examples.length : 1;
  const seen = length + width;
  const data = new Float32Array(masks * width * seen);
  for (let m = 0; m < masks; m++) {
    const first = infix ? (examples[m] as TokenExample).source.length - 1 : 0;
    for (let t = 0; t < width; t++) {
      const row = (m * width + t) * seen;
      if (t < first) data.fill(MASKED, row, row + length);
      data.fill(MASKED, row + length + t + 1, row + seen);
    }
  }
  return { data, shape: [masks, 1, width, seen] };
}
