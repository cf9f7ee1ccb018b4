export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

/** Smallest and largest; NaN for none. */
export function spread(values: readonly number[]): { readonly min: number; readonly max: number } {
  if (values.length === 0) return { min: NaN, max: NaN };
  return { min: Math.min(...values), max: Math.max(...values) };
}

/**
 * Ratios of `above` over `below`, round by round: a slow minute of the machine slows both values of a round, not their ratio.
 * Equal values have the ratio 1, even if both are zero.
 * @throws Error if the numbers of rounds differ
 */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  if (above.length !== below.length) throw new Error(`${above.length} rounds over ${below.length}`);
  return above.map((value, round) => (value === below[round] ? 1 : value / (below[round] ?? NaN)));
}
