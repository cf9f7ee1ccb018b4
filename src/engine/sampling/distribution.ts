import type { SamplingParams } from '../request.js';
import { rank } from './rank.js';

/** Number of best tokens that a draw looks at first. A constant, so that a draw does not depend on the rest of the batch. */
export const BEST = 64;

/** Tokens of a row that temperature, then min-p, then top-k, then top-p leave, best first; equal ones by id. */
export interface Distribution {
  readonly ids: Int32Array;
  /** They add up to 1. */
  readonly probabilities: Float64Array;
}

/** Parameters that make a distribution of a row of logits. */
export type Shape = Pick<SamplingParams, 'temperature' | 'minP' | 'topK' | 'topP'>;

/**
 * The distribution that the next token is drawn from.
 * @param logits `[vocabulary]`
 * @param shape its temperature is above 0
 * @param lse log(sum(exp(logits / temperature))), where it is known
 */
export function distribution(
  logits: Float32Array,
  shape: Shape,
  lse: number = logSumExp(logits, shape.temperature),
): Distribution {
  const { ids, weights, mass } = candidates(logits, shape, lse);
  const count = countKept(weights, mass, shape.topP);
  const kept = weights.subarray(0, count);
  const keptMass = sum(kept);
  return { ids: ids.subarray(0, count), probabilities: kept.map((weight) => weight / keptMass) };
}

/**
 * How many of the best tokens top-p keeps: the smallest number, at least one, that has the part `topP` of `mass`. As in
 * Transformers' `TopPLogitsWarper`, a token stays when those before it have less. The weights' number when they do not reach it.
 * @param weights best first, after top-k
 */
export function countKept(weights: Float64Array, mass: number, topP: number): number {
  if (topP >= 1) return weights.length;
  let before = weights[0] ?? 0;
  let count = 1;
  while (count < weights.length && before < topP * mass) before += weights[count++] ?? 0;
  return count;
}

/**
 * How many of the best tokens min-p keeps: those with at least the part `minP` of the best one's probability. As in vLLM the
 * parts are those before truncation.
 * @param weights best first; in any unit
 */
export function countLikely(weights: Float64Array, minP: number): number {
  const lowest = minP * (weights[0] ?? 0);
  const count = weights.findIndex((weight) => weight < lowest);
  return count < 0 ? weights.length : count;
}

/** The ids of the `count` best logits, best first; equal ones by id. */
export function bestIds(logits: Float32Array, count: number): Int32Array {
  if (count > BEST) return bestIdsBySorting(logits, count);
  const best: number[] = [];
  let worst = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = at(logits, id);
    if (best.length === count && !(logit > worst)) continue;
    let place = best.length;
    while (place > 0 && logit > at(logits, best[place - 1])) place--;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
    worst = at(logits, best.at(-1));
  }
  return Int32Array.from(best);
}

/** log(sum(exp(logits / temperature))). */
export function logSumExp(logits: Float32Array, temperature: number): number {
  let largest = -Infinity;
  for (let id = 0; id < logits.length; id++) largest = Math.max(largest, at(logits, id));
  let mass = 0;
  for (let id = 0; id < logits.length; id++) mass += Math.exp((at(logits, id) - largest) / temperature);
  return largest / temperature + Math.log(mass);
}

export function sum(values: Float64Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] ?? 0;
  return total;
}

interface Candidates {
  readonly ids: Int32Array;
  /** Probabilities before truncation, best first. */
  readonly weights: Float64Array;
  /** Total that top-p is a part of. */
  readonly mass: number;
}

/** The tokens that top-p chooses among: what min-p and top-k leave, or all but those that top-p drops for certain. */
function candidates(logits: Float32Array, shape: Shape, lse: number): Candidates {
  const { temperature, minP = 0, topK } = shape;
  const ids =
    topK > 0
      ? bestIds(logits, Math.min(topK, logits.length))
      : rank(logits, idsFrom(logits, lowestLogit(logits, shape, lse)));
  const all = new Float64Array(ids.length);
  for (let i = 0; i < ids.length; i++) all[i] = Math.exp(at(logits, ids[i]) / temperature - lse);
  const weights = all.subarray(0, countLikely(all, minP));
  return { ids, weights, mass: topK > 0 || minP > 0 ? sum(weights) : 1 };
}

/** Below this logit min-p or top-p drops every token for certain: only those above have to be sorted. */
function lowestLogit(logits: Float32Array, { temperature, minP = 0, topP }: Shape, lse: number): number {
  if (minP > 0)
    return logits.reduce((largest, logit) => Math.max(largest, logit), -Infinity) + Math.log(minP) * temperature;
  // All tokens below this have less than 1 - topP together.
  return (Math.log((1 - topP) / logits.length) + lse) * temperature;
}

function bestIdsBySorting(logits: Float32Array, count: number): Int32Array {
  const lowest = at(logits.toSorted(), logits.length - count);
  return rank(logits, idsFrom(logits, lowest)).subarray(0, count);
}

/** The ids whose logits are not below `lowest`. */
function idsFrom(logits: Float32Array, lowest: number): Int32Array {
  const ids = new Int32Array(logits.length);
  let count = 0;
  for (let id = 0; id < logits.length; id++) if (!(at(logits, id) < lowest)) ids[count++] = id;
  return ids.subarray(0, count);
}

function at(values: Float32Array, index: number | undefined): number {
  return values[index ?? 0] ?? -Infinity;
}
