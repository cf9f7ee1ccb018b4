import { BEST, bestIds, logSumExp } from './distribution.js';
import type { StepOutput } from '../runner.js';

/** The logits of one row of a step. Views: valid until the next step. */
export interface LogitsRow {
  readonly vocabularySize: number;
  /** `[topK]` best first, equal ones by id. */
  readonly bestIds: Int32Array;
  /** `[topK]` */
  readonly bestLogits: Float32Array;
  readonly lse: number;
  readonly temperedLse: number;
  /** `[vocabulary]` */
  all(): Float32Array;
}

/** One row of what a step returned. */
export function readRow(output: StepOutput, row: number, vocabularySize: number): LogitsRow {
  const topK = output.topIds.length / output.rows;
  return {
    vocabularySize,
    bestIds: output.topIds.subarray(row * topK, (row + 1) * topK),
    bestLogits: output.topLogits.subarray(row * topK, (row + 1) * topK),
    lse: output.lse[row] ?? NaN,
    temperedLse: output.temperedLse[row] ?? NaN,
    all: () => output.logits(row),
  };
}

/** The same row, with tokens that may not be chosen at minus infinity. */
export function withoutTokens(row: LogitsRow, banned: ReadonlySet<number>, temperature: number): LogitsRow {
  return changeRow(row, temperature, (logits) => {
    for (const id of banned) if (id < logits.length) logits[id] = -Infinity;
  });
}

/**
 * The row with other logits. It reads the whole vocabulary, which a row as the step gives it is spared.
 * @param change changes the logits, `[vocabulary]`, in place; they are a copy
 */
export function changeRow(row: LogitsRow, temperature: number, change: (logits: Float32Array) => void): LogitsRow {
  const logits = row.all().slice();
  change(logits);
  const ids = bestIds(logits, BEST);
  return {
    vocabularySize: row.vocabularySize,
    bestIds: ids,
    bestLogits: Float32Array.from(ids, (id) => logits[id] ?? -Infinity),
    lse: logSumExp(logits, 1),
    temperedLse: temperature > 0 ? logSumExp(logits, temperature) : NaN,
    all: () => logits,
  };
}
