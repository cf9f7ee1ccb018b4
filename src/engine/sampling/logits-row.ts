import { BEST, bestIds, logSumExp } from './distribution.js';
import type { StepOutput } from '../runner.js';

/** What a token is drawn from: logits of one row, changed or as the step gave them. Views: valid until the next step. */
export interface DrawnRow {
  readonly vocabularySize: number;
  /** `[topK]` best first, equal ones by id. */
  readonly bestIds: Int32Array;
  /** `[topK]` */
  readonly bestLogits: Float32Array;
  /** Log-sum-exp of the logits over the temperature; NaN at temperature 0. */
  readonly temperedLse: number;
  /** `[vocabulary]` */
  all(): Float32Array;
}

/** The logits of one row of a step. Views: valid until the next step. */
export interface LogitsRow extends DrawnRow {
  /** Log-sum-exp of the logits themselves. */
  readonly lse: number;
  /** Logit of one token. */
  logit(id: number): number;
}

/** One row of what a step returned. */
export function readRow(output: StepOutput, row: number, vocabularySize: number): LogitsRow {
  const topK = output.topIds.length / output.rows;
  return {
    vocabularySize,
    bestIds: output.topIds.subarray(row * topK, (row + 1) * topK),
    bestLogits: output.topLogits.subarray(row * topK, (row + 1) * topK),
    lse: output.lse[row] ?? NaN,
    logit: (id) => output.logits(row)[id] ?? -Infinity,
    temperedLse: output.temperedLse[row] ?? NaN,
    all: () => output.logits(row),
  };
}

/** The same row, with tokens that may not be chosen at minus infinity. */
export function withoutTokens(row: DrawnRow, banned: ReadonlySet<number>, temperature: number): DrawnRow {
  return changeRow(row, temperature, (logits) => {
    for (const id of banned) if (id < logits.length) logits[id] = -Infinity;
  });
}

/**
 * The row with other logits. It reads the whole vocabulary, which a row as the step gives it is spared.
 * @param change changes the logits, `[vocabulary]`, in place; they are a copy
 */
export function changeRow(row: DrawnRow, temperature: number, change: (logits: Float32Array) => void): DrawnRow {
  const logits = row.all().slice();
  change(logits);
  return rowOfLogits(logits, temperature);
}

/**
 * A row of these logits.
 * @param logits `[vocabulary]`, not copied
 * @param temperature 0 or above
 * @param numBest best ones that are wanted; a draw needs `BEST`
 */
export function rowOfLogits(logits: Float32Array, temperature: number, numBest = BEST): DrawnRow {
  const ids = bestIds(logits, Math.min(numBest, logits.length));
  return {
    vocabularySize: logits.length,
    bestIds: ids,
    bestLogits: Float32Array.from(ids, (id) => logits[id] ?? -Infinity),
    temperedLse: temperature > 0 ? logSumExp(logits, temperature) : NaN,
    all: () => logits,
  };
}
