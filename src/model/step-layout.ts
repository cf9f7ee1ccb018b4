import type { Span, StepInput } from '../engine/runner.js';

/** Spans of a step by the attention that computes them. */
export interface StepLayout {
  /** Spans in slots 0 to n - 1, which are computed together. */
  readonly rows: readonly Span[];
  /** Last span of the step, where it is computed by itself: in any slot behind the rows. */
  readonly chunk: Span | undefined;
  /** Attention nodes that a layer has for the rows: at least as many as the longest row has tokens. */
  readonly nodes: number;
}

/** Numbers of nodes that graphs are opened for: a longest row of 4 tokens is computed as one of 5. */
const NODES = [1, 2, 3, 5, 9, 16] as const;

/** Most tokens of a row before the last. */
export const MAX_ROW_TOKENS: number = NODES[NODES.length - 1] ?? 1;

/**
 * Chooses how a step is computed: rows of one token together, several rows of several tokens too, a chunk by itself. A draft of a row that
 * is alone is computed as a chunk is.
 */
export function layOutStep({ rows: spans, isVerifying = false }: StepInput): StepLayout {
  const areTokens = spans.every(({ tokens, slot }, row) => tokens.length === 1 && slot === row);
  if (areTokens || (isVerifying && spans.length > 1)) {
    return { rows: spans, chunk: undefined, nodes: nodesFor(longestOf(spans)) };
  }
  const rows = spans.slice(0, -1);
  return { rows, chunk: spans.at(-1), nodes: nodesFor(longestOf(rows)) };
}

/** Attention nodes that rows of up to so many tokens are computed with: the next number that there is a graph for. */
export function nodesFor(tokens: number): number {
  return NODES.find((nodes) => nodes >= tokens) ?? tokens;
}

function longestOf(rows: readonly Span[]): number {
  return rows.reduce((longest, { tokens }) => Math.max(longest, tokens.length), 1);
}
