const INTERVALS = 5;

/** Round numbers, about six, whose first and last enclose `low` to `high`. */
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
