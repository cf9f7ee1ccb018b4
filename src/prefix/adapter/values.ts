import { PrefixError } from '../errors.js';
import type { PrefixKv } from '../kv.js';

/**
 * Keys, values and embeddings of a trained GPT-2 stay below some hundred. A larger one points at a run that diverged or
 * at a file in another layout, and float16 ends at 65,504.
 */
const SUSPICIOUS_MAGNITUDE = 1000;

/** Throws `prefix_kv_not_finite`: served keys and values must be finite, whatever they were converted or computed from. */
export function checkFiniteKv({ rows, sourceEmbeddings }: PrefixKv): void {
  for (const siteRows of rows.values()) checkFiniteRows(siteRows);
  if (sourceEmbeddings !== undefined) checkFiniteRows(sourceEmbeddings);
}

/** As `checkFiniteKv`, for rows at one site or input embeddings. */
export function checkFiniteRows(rows: Float32Array): void {
  for (let i = 0; i < rows.length; i++) {
    if (Number.isFinite(rows[i])) continue;
    throw new PrefixError('prefix_kv_not_finite', 'adapter_model: as float32, a value is infinite or no number');
  }
}

/** Warns of what is valid and yet hardly meant: rows of zeros, huge values. `rows` is `[length, columns]`. */
export function magnitudeWarnings(rows: Float32Array, length: number): string[] {
  const columns = rows.length / length;
  let zeroRows = 0;
  let largest = 0;
  for (let row = 0; row < length; row++) {
    const rowLargest = largestMagnitude(rows.subarray(row * columns, (row + 1) * columns));
    if (rowLargest === 0) zeroRows++;
    largest = Math.max(largest, rowLargest);
  }
  const warnings: string[] = [];
  if (zeroRows > 0) warnings.push(`${zeroRows} of ${length} virtual tokens are all zeros`);
  if (largest > SUSPICIOUS_MAGNITUDE) {
    warnings.push(`the largest value is ${largest.toPrecision(3)}; trained ones stay below ${SUSPICIOUS_MAGNITUDE}`);
  }
  return warnings;
}

function largestMagnitude(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] as number));
  return largest;
}
