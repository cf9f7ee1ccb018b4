import type { MatrixLayout } from './quantize.js';

/** Largest magnitude of a quantised weight. The range is symmetric, so that the same integers are kept with a sign and without. */
const LARGEST = 127;
/** The unsigned byte that stands for zero. */
export const ZERO_POINT = 128;
/** Inputs of a layer beyond which a sum of products may not fit 32 bits: activations are at most 255. */
export const MAX_COLUMN_INPUTS = Math.floor(0x7fff_ffff / (255 * LARGEST));

/** Names of the three tensors that stand for the weight of the linear layer `name`, with one scale for each output. */
export function columnNames(name: string): { readonly values: string; readonly scales: string; readonly sums: string } {
  const weight = `${name}.weight.columns`;
  return { values: weight, scales: `${weight}.scales`, sums: `${weight}.sums` };
}

/**
 * Weights of a layer as integer products take them: value = integer * scale, with one scale for each output. No value is further from its own
 * than half a scale.
 */
export interface QuantizedColumns {
  /** `[inputs, outputs]`, as the bytes of signed integers from -127 to 127. */
  readonly values: Int8Array;
  /** `[outputs]` */
  readonly scales: Float32Array;
  /** `[outputs]`, each output's quantised weights added up. */
  readonly sums: Float32Array;
}

/** Columns that `quantizeColumns` fills. */
export function emptyColumns(inputs: number, outputs: number): QuantizedColumns {
  return {
    values: new Int8Array(inputs * outputs),
    scales: new Float32Array(outputs),
    sums: new Float32Array(outputs),
  };
}

/**
 * Quantises the weights of `layout.outputs` outputs into `target`, from its output `first` on.
 * `source[output * outputStride + input * inputStride]` is one of them.
 */
export function quantizeColumns(
  source: Float32Array,
  { inputs, outputs, inputStride, outputStride }: MatrixLayout,
  target: QuantizedColumns,
  first = 0,
): void {
  const scales = target.scales.subarray(first, first + outputs);
  for (let input = 0; input < inputs; input++) {
    for (let output = 0, at = input * inputStride; output < outputs; output++, at += outputStride) {
      scales[output] = Math.max(scales[output] as number, Math.abs(source[at] as number));
    }
  }
  scales.forEach((largest, output) => (scales[output] = largest / LARGEST));
  const sums = new Float64Array(outputs);
  for (let input = 0; input < inputs; input++) {
    const row = target.values.subarray(input * target.scales.length + first);
    for (let output = 0, at = input * inputStride; output < outputs; output++, at += outputStride) {
      const scale = scales[output] as number;
      if (scale === 0) continue; // also where subnormal weights leave no scale
      const integer = Math.max(-LARGEST, Math.min(LARGEST, Math.round((source[at] as number) / scale)));
      row[output] = integer;
      sums[output] = (sums[output] as number) + integer;
    }
  }
  sums.forEach((sum, output) => (target.sums[first + output] = sum * (scales[output] as number)));
}

/** The same integers as unsigned bytes around `ZERO_POINT`. */
export function toUnsigned(values: Int8Array): Uint8Array {
  return Uint8Array.from(values, (value) => value + ZERO_POINT);
}
