import type { Span } from '../engine/runner.js';

/** Spans of a step by the attention that computes them. */
export interface StepLayout {
  /** Spans in slots 0 to n - 1, which are computed together. */
  readonly rows: readonly Span[];
  /** Last span of the step, where it is computed by itself: in any slot behind the rows. */
  readonly chunk: Span | undefined;
  /** Attention nodes that a layer has for the rows: the tokens of the longest row, and at least one. */
  readonly nodes: number;
}

/** Chooses how a step is computed: rows of one token together, several rows of several tokens too, any other last span by itself. */
export function layOutStep(spans: readonly Span[]): StepLayout {
  if (spans.every(({ tokens, slot }, row) => tokens.length === 1 && slot === row)) {
    return { rows: spans, chunk: undefined, nodes: 1 };
  }
  const rows = spans.slice(0, -1);
  const chunk = spans.at(-1) as Span;
  const nodes = longestOf(rows);
  const isRow = nodes > 1 && chunk.slot === rows.length && chunk.tokens.length <= nodes;
  return isRow ? { rows: spans, chunk: undefined, nodes } : { rows, chunk, nodes };
}

function longestOf(rows: readonly Span[]): number {
  return rows.reduce((longest, { tokens }) => Math.max(longest, tokens.length), 1);
}
