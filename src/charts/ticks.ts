const INTERVALS = 5;

/**
 * About six round, evenly spaced values that enclose `low` to `high`; 0 and 1 when there is no data (`low` above
 * `high`, or NaN).
 */
export function ticks(low: number, high: number): number[] {
  if (!(low <= high)) return [0, 1]; // there is no value
  const range = high > low ? high - low : Math.abs(low) || 1;
  const rough = range / INTERVALS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(digits)));
}
