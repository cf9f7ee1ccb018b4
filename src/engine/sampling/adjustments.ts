import type { LogitAdjustments } from '../request.js';

/** Tokens that penalties look back on. */
export interface TokenHistory {
  /** Prompt and generated tokens. Virtual tokens have no ids and no penalty. */
  readonly tokens: readonly number[];
  /** Number of them, from the end, that are generated. */
  readonly numGeneratedTokens: number;
}

/** Keeps a logit that a tiny repetition penalty divides within a float. */
const LARGEST_LOGIT = 1e38;

/**
 * Changes a row of logits in place, in vLLM's order: bias, then the repetition penalty over prompt and generated tokens, then
 * frequency and presence penalty over the generated ones. A token at minus infinity stays there.
 * @param logits `[vocabulary]`
 */
export function adjustLogits(logits: Float32Array, adjustments: LogitAdjustments, history: TokenHistory): void {
  const { bias, repetitionPenalty, frequencyPenalty, presencePenalty } = adjustments;
  const update = (id: number, change: (logit: number) => number): void => {
    logits[id] = change(logits[id] ?? -Infinity);
  };
  for (const [id, value] of bias) update(id, (logit) => logit + value);
  if (repetitionPenalty !== 1) {
    for (const id of new Set(history.tokens)) update(id, (logit) => repel(logit, repetitionPenalty));
  }
  if (frequencyPenalty === 0 && presencePenalty === 0) return;
  for (const [id, count] of countGenerated(history)) {
    update(id, (logit) => logit - frequencyPenalty * count - presencePenalty);
  }
}

/** As CTRL and Transformers' `RepetitionPenaltyLogitsProcessor`: above 1 a token becomes less likely whatever its sign. */
function repel(logit: number, penalty: number): number {
  return logit > 0 ? Math.min(logit / penalty, LARGEST_LOGIT) : logit * penalty;
}

function countGenerated({ tokens, numGeneratedTokens }: TokenHistory): Map<number, number> {
  const counts = new Map<number, number>();
  for (const id of tokens.slice(tokens.length - numGeneratedTokens)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}
