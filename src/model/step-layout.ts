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
 * Chooses how a step is computed: rows of one token together, several rows of several tokens too, any other last span by itself. A draft
 * of a row that is alone is such a span.
 */
export function layOutStep({ rows: spans, isVerifying = false }: StepInput): StepLayout {
  if (spans.every(({ tokens, slot }, row) => tokens.length === 1 && slot === row)) {
    return { rows: spans, chunk: undefined, nodes: 1 };
  }
  if (isVerifying && spans.length > 1) return { rows: spans, chunk: undefined, nodes: nodesFor(longestOf(spans)) };
  const rows = spans.slice(0, -1);
  const chunk = spans.at(-1) as Span;
  const nodes = nodesFor(longestOf(rows));
  const isRow = nodes > 1 && chunk.slot === rows.length && chunk.tokens.length <= nodes;
  return isRow ? { rows: spans, chunk: undefined, nodes } : { rows, chunk, nodes };
}

/** Attention nodes that rows of up to so many tokens are computed with: the next number that there is a graph for. */
export function nodesFor(tokens: number): number {
  return NODES.find((nodes) => nodes >= tokens) ?? tokens;
}

function longestOf(rows: readonly Span[]): number {
  return rows.reduce((longest, { tokens }) => Math.max(longest, tokens.length), 1);
}
