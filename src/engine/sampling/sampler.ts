import { BEST, countKept, countLikely, distribution, sum, type Distribution, type Shape } from './distribution.js';
import type { DrawnRow } from './logits-row.js';

/** Number of best logits that a draw needs; the rest of the row is read only when those do not decide it. */
export function numBestNeeded({ temperature }: Shape, vocabularySize: number): number {
  return temperature === 0 ? 1 : Math.min(BEST, vocabularySize);
}

/**
 * Chooses the next token: the best one at temperature 0, else by the inverse of the cumulative distribution at `u`. A truncated
 * distribution is walked best first, a whole one over the `BEST` best and then by id. The order and therefore the token depend on
 * the row's logits and on `u` alone.
 * @param u in [0, 1)
 */
export function sampleToken(row: DrawnRow, shape: Shape, u: number): number {
  const best = row.bestIds[0] ?? 0;
  if (shape.temperature === 0) return best;
  if (!isTruncated(shape)) return drawFromWhole(row, shape.temperature, u);
  return draw(keptOfBest(row, shape) ?? distribution(row.all(), shape, row.temperedLse), u) ?? best;
}

function isTruncated({ minP = 0, topK, topP }: Shape): boolean {
  return minP > 0 || topK > 0 || topP < 1;
}

/** The first token at which the probabilities, added in order, go beyond `u`; undefined where rounding has left none. */
function draw({ ids, probabilities }: Distribution, u: number): number | undefined {
  return ids.at(reach(probabilities, u) ?? lastPositive(probabilities));
}

/** Tokens that truncation leaves, if the best tokens are enough to tell. */
function keptOfBest(row: DrawnRow, { temperature, minP = 0, topK, topP }: Shape): Distribution | undefined {
  const best = weighBest(row, { temperature, minP, topK, topP });
  const likely = countLikely(best, minP);
  const isDecided = row.vocabularySize <= BEST || likely < best.length;
  if (!isDecided && (topK > BEST || (minP > 0 && topK === 0))) return undefined;
  const weights = best.subarray(0, topK > 0 ? Math.min(topK, likely) : likely);
  const isComplete = topK > 0 || isDecided;
  const mass = isComplete ? sum(weights) : 1;
  const count = countKept(weights, mass, topP);
  const kept = weights.subarray(0, count);
  const keptMass = sum(kept);
  if (!isComplete && keptMass < topP) return undefined;
  return { ids: row.bestIds.subarray(0, count), probabilities: kept.map((weight) => weight / keptMass) };
}

/** Stops at the token drawn: most draws weigh one token or two. */
function drawFromWhole(row: DrawnRow, temperature: number, u: number): number {
  const weights = new Float64Array(Math.min(BEST, row.bestIds.length));
  let cumulative = 0;
  for (let i = 0; i < weights.length; i++) {
    cumulative += weights[i] = weigh(row, i, temperature);
    if (u < cumulative) return row.bestIds[i] ?? 0;
  }
  return drawFromRest(row, temperature, weights, u);
}

/** Goes on behind the best tokens: the others by id. */
function drawFromRest(row: DrawnRow, temperature: number, weights: Float64Array, u: number): number {
  const walked = new Uint8Array(row.vocabularySize);
  for (const id of row.bestIds.subarray(0, weights.length)) walked[id] = 1;
  const logits = row.all();
  let last = row.bestIds.at(lastPositive(weights)) ?? 0;
  let cumulative = sum(weights);
  for (let id = 0; id < logits.length; id++) {
    if (walked[id]) continue;
    const weight = Math.exp((logits[id] ?? -Infinity) / temperature - row.temperedLse);
    cumulative += weight;
    if (u < cumulative) return id;
    if (weight > 0) last = id;
  }
  return last;
}

/** Index of the first weight at which the sum goes beyond `u`. */
function reach(weights: Float64Array, u: number): number | undefined {
  let cumulative = 0;
  const index = weights.findIndex((weight) => u < (cumulative += weight));
  return index < 0 ? undefined : index;
}

/** Token drawn where rounding leaves a sum short of 1: the last one that has a chance, the best one if none has. */
function lastPositive(weights: Float64Array): number {
  const index = weights.findLastIndex((weight) => weight > 0);
  return index < 0 ? 0 : index;
}

/** Probabilities of the best tokens under the whole distribution: of as many as truncation needs, and of `BEST` at most. */
function weighBest(row: DrawnRow, { temperature, minP = 0, topK, topP }: Shape): Float64Array {
  const isTopK = minP === 0 && topK > 0 && topK <= BEST;
  const most = Math.min(isTopK ? topK : BEST, row.bestLogits.length);
  // The nucleus ends where the sum reaches topP, unless a mass that is not 1 is to be divided.
  const enough = minP === 0 && topK === 0 && row.vocabularySize > BEST ? topP : Infinity;
  const weights = new Float64Array(most);
  let count = 0;
  for (let mass = 0; count < most && (count === 0 || mass < enough); count++) {
    mass += weights[count] = weigh(row, count, temperature);
  }
  return weights.subarray(0, count);
}

/** Probability of one of the best tokens, by its rank from 0. */
function weigh(row: DrawnRow, rank: number, temperature: number): number {
  return Math.exp((row.bestLogits[rank] ?? -Infinity) / temperature - row.temperedLse);
}
