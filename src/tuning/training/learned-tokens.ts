import { LOSS_CHUNKS } from '../graph/loss.js';
import { type Batch, indexInput } from './batch-inputs.js';

/** The learned tokens of one row of a batch. */
export interface LearnedRow {
  /** Which of the batch's tokens predicts the first target; those of the others follow it. */
  readonly first: number;
  readonly target: readonly number[];
}

/**
 * The inputs `keep`, `keep_back`, `targets` and `weights`, which both training graphs have.
 * @param tokens of the batch
 * @param weight of each learned token in the loss
 */
export function learnedTokens(
  rows: readonly LearnedRow[],
  tokens: number,
  weight: number,
): Pick<Batch, 'inputs' | 'kept' | 'learned'> {
  const learned = rows.reduce((sum, { target }) => sum + target.length, 0);
  const kept = Math.ceil(learned / LOSS_CHUNKS) * LOSS_CHUNKS; // the last ones, beyond `learned`, weigh nothing
  const keep = new Int32Array(kept);
  const keepBack = new Int32Array(tokens).fill(kept);
  const targets = new Int32Array(kept);
  const weights = new Float32Array(kept).fill(weight, 0, learned);
  let at = 0;
  for (const { first, target } of rows) {
    target.forEach((id, t) => {
      keep[at] = first + t;
      keepBack[first + t] = at;
      targets[at++] = id;
    });
  }
  return {
    inputs: {
      keep: indexInput(keep),
      keep_back: indexInput(keepBack),
      targets: indexInput(targets),
      weights: { data: weights, shape: [kept, 1] },
    },
    kept,
    learned,
  };
}
