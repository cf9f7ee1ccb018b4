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
 * `above` over `below`, round by round. What slows the machine for a minute slows both of a round, so their ratio stays.
 * Equal values have the ratio 1, zeros too.
 * @throws Error when one was measured in a round and the other was not
 */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  if (above.length !== below.length) throw new Error(`${above.length} rounds over ${below.length}`);
  return above.map((value, round) => (value === below[round] ? 1 : value / (below[round] ?? NaN)));
}
