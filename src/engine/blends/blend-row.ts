import { BEST, logSumExp } from '../sampling/distribution.js';
import { type LogitsRow, rowOfLogits } from '../sampling/logits-row.js';

/** What one entry of a blend says of the next token. */
export interface WeightedRow {
  readonly row: LogitsRow;
  /** Factor of the row's log-probabilities, finite. */
  readonly weight: number;
}

/**
 * The row whose logits are the weighted sum of the rows' natural log-probabilities. Its softmax is what a blend draws from. Reads the whole
 * vocabulary of each row, and keeps nothing of them.
 * @param rows at least one, of one vocabulary
 * @param temperature of `temperedLse`, 0 or above
 * @param numTops best tokens whose log-probabilities are reported
 */
export function blendRows(rows: readonly WeightedRow[], temperature: number, numTops: number): LogitsRow {
  const logits = sumLogits(rows);
  const row = rowOfLogits(logits, temperature, Math.max(BEST, numTops));
  let known = temperature === 1 ? row.temperedLse : undefined;
  return {
    ...row,
    get lse() {
      return (known ??= logSumExp(logits, 1)); // nobody asks unless log-probabilities are reported
    },
    logit: (id) => logits[id] ?? -Infinity,
  };
}

/**
 * Logits instead of log-probabilities: their sums differ by a number that is the same for all tokens, which a softmax does not see. They
 * are not shifted, because a repetition penalty sees it: weights that add up to 1 keep what it does to one model.
 * @returns `[vocabulary]`
 */
function sumLogits(rows: readonly WeightedRow[]): Float32Array {
  const sums = new Float64Array(rows[0]?.row.vocabularySize ?? 0);
  for (const { row, weight } of rows) {
    const logits = row.all();
    for (let id = 0; id < sums.length; id++) sums[id] = (sums[id] ?? 0) + weight * (logits[id] ?? -Infinity);
  }
  return Float32Array.from(sums);
}
