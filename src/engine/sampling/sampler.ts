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
  const best = weighBest(row, temperature);
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

function drawFromWhole(row: DrawnRow, temperature: number, u: number): number {
  const weights = weighBest(row, temperature);
  const index = reach(weights, u);
  return index === undefined ? drawFromRest(row, temperature, weights, u) : (row.bestIds[index] ?? 0);
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

/** Probabilities of the best tokens under the whole distribution. */
function weighBest(row: DrawnRow, temperature: number): Float64Array {
  return Float64Array.from(row.bestLogits.subarray(0, BEST), (logit) =>
    Math.exp(logit / temperature - row.temperedLse),
  );
}
