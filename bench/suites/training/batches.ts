import type { TrainRequest } from '../../peers/protocol.js';
import { randomTokens } from '../../load/token-stream.js';

/** Lengths of a batch's rows, in tokens that the model reads. */
const EVEN = Array.from({ length: 10 }, () => 64);
/** The same number of tokens in uneven rows. Padding makes them 1.31 times as many, as in batches of ten drawn from E2E. */
const UNEVEN = [44, 48, 52, 56, 60, 68, 72, 76, 80, 84];
export const STEP_TOKENS = EVEN.reduce((sum, length) => sum + length);

/** Lengths of rows, and the share of each row that is learned. */
const BATCHES = {
  all: { lengths: EVEN, learned: 1 },
  half: { lengths: EVEN, learned: 1 / 2 },
  'half, uneven rows': { lengths: UNEVEN, learned: 1 / 2 },
} as const;
export type Learned = keyof typeof BATCHES;
export const LEARNED = Object.keys(BATCHES) as Learned[];

/** The examples of a step. */
export function trainingExamples(kind: Learned): TrainRequest['examples'] {
  const { lengths, learned } = BATCHES[kind];
  return lengths.map((length, row) => {
    const ids = randomTokens(`example/${row}`, length + 1); // the last one is learned, not read
    const sourceLength = ids.length - length * learned;
    return { source: ids.slice(0, sourceLength), target: ids.slice(sourceLength) };
  });
}
