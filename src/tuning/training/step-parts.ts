import type { ModelShape } from '../../prefix/kv.js';
import type { TokenExample } from '../data/example.js';
import { rowSets, type TunedShape } from '../method.js';
import type { LossMean } from '../settings.js';
import { packBatch, tokenWeight } from './batch.js';
import type { Batch } from './batch-inputs.js';
import type { LossGraph, LossResult } from './training-model.js';
import type { Values } from './values.js';

/** Tokens of a part, about: enough that products run at full speed. */
const PART_TOKENS = 1280;
/** Tokens of a part for each virtual token that an MLP makes, at least: the MLP is computed in every part. */
const TOKENS_PER_MLP_ROW = 16;

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
  const virtual = rowSets(frozen, shape).reduce((sum, { length }) => sum + length, 0);
  const limit = Math.max(PART_TOKENS, shape.mlp > 0 ? TOKENS_PER_MLP_ROW * virtual : 0);
  return split(examples, limit).map((part) => packBatch(part, frozen, shape, weight));
}

/** Runs the parts of a step. Losses are those of all parts, in order; gradients are summed. */
export async function runParts(graph: LossGraph, values: Values, parts: readonly Batch[]): Promise<LossResult> {
  const results: LossResult[] = [];
  for (const part of parts) results.push(await graph.run(values, part));
  const [first, ...others] = results;
  if (first === undefined) throw new RangeError('a step of no parts');
  if (others.length === 0) return first;
  for (const { gradients } of others) {
    for (const [name, sum] of first.gradients)
      gradients.get(name)?.forEach((value, i) => (sum[i] = (sum[i] ?? 0) + value));
  }
  return { losses: Float32Array.from(results.flatMap(({ losses }) => [...losses])), gradients: first.gradients };
}

/** Examples cut where their tokens reach the next multiple of an even share. */
function split(examples: readonly TokenExample[], limit: number): TokenExample[][] {
  const tokens = examples.map(({ source, target }) => source.length + target.length);
  const total = tokens.reduce((sum, count) => sum + count, 0);
  const share = total / Math.ceil(total / limit);
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
