import type { ModelShape } from '../../prefix/kv.js';
import type { TokenExample } from '../data/example.js';
import { LOSS_CHUNKS } from '../graph/loss.js';
import { rowSets, type TunedShape } from '../method.js';
import type { LossMean } from '../settings.js';
import { packBatch, tokenWeight } from './batch.js';
import type { Batch } from './batch-inputs.js';
import type { LossGraph, LossResult } from './training-model.js';
import type { Values } from './values.js';

/** Tokens of a part, about: enough that products run at full speed. */
const PART_TOKENS = 1280;
/** Learned tokens of a part, about, for each chunk of the loss: logits are as wide as the vocabulary. */
const LEARNED_PER_CHUNK = 256;
/** Tokens of a part, at least, for each virtual token that an MLP or the model itself computes: it does so in every part. */
const TOKENS_PER_COMPUTED_ROW = 16;

/**
 * The batches of a step, which are run one after another: only one part's activations are in memory. Their gradients add up to those of
 * all examples in one batch. Parts have whole examples, in order, and about as many tokens as each other.
 * @param mean what the loss is the mean of, over all parts; sentences unless given
 */
export function stepParts(
  examples: readonly TokenExample[],
  frozen: ModelShape,
  shape: TunedShape,
  mean: LossMean = 'sentences',
): Batch[] {
  const weight = tokenWeight(examples, mean);
  const isComputed = shape.mlp > 0 || shape.method === 'embedding';
  const computed = isComputed ? rowSets(frozen, shape).reduce((sum, { length }) => sum + length, 0) : 0;
  const tokens = Math.max(PART_TOKENS, TOKENS_PER_COMPUTED_ROW * computed);
  const learned = LEARNED_PER_CHUNK * (shape.sites === undefined ? LOSS_CHUNKS : 1);
  return split(examples, { tokens, learned }).map((part) => packBatch(part, frozen, shape, weight));
}

/** Runs the parts of a step. Losses are those of all parts, in order; gradients are summed. */
export async function runParts(graph: LossGraph, values: Values, parts: readonly Batch[]): Promise<LossResult> {
  const results: LossResult[] = [];
  for (const part of parts) results.push(await graph.run(values, part));
  const [first, ...others] = results;
  if (first === undefined) throw new RangeError('a step of no parts');
  if (others.length === 0) return first;
  for (const { gradients } of others) {
    for (const [name, gradient] of gradients) addTo(first.gradients.get(name), gradient);
  }
  return { losses: Float32Array.from(results.flatMap(({ losses }) => [...losses])), gradients: first.gradients };
}

function addTo(sum: Float32Array | undefined, values: Float32Array): void {
  if (sum === undefined) throw new Error('the parts have gradients of other parameters');
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[i] as number);
}

/** Examples cut where their tokens reach the next multiple of an even share. */
function split(examples: readonly TokenExample[], most: { tokens: number; learned: number }): TokenExample[][] {
  const tokens = examples.map(({ source, target }) => source.length + target.length);
  const total = tokens.reduce((sum, count) => sum + count, 0);
  const learned = examples.reduce((sum, { target }) => sum + target.length, 0);
  const share = total / Math.max(Math.ceil(total / most.tokens), Math.ceil(learned / most.learned));
  const parts: TokenExample[][] = [];
  let [before, part] = [0, -1];
  examples.forEach((example, row) => {
    const middle = before + (tokens[row] as number) / 2;
    const wanted = Math.floor(middle / share);
    if (wanted > part) parts.push([]);
    part = Math.max(part, wanted);
    parts.at(-1)?.push(example);
    before += tokens[row] as number;
  });
  return parts;
}
