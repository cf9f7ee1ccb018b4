/**
 * Weights in blocks of few bits, as `com.microsoft:MatMulNBits` takes them: 32 inputs of one output share a scale, and
 * each is an unsigned integer around the middle of its range. value = (integer - middle) * scale.
 */
export const BLOCK = 32;

export const BITS = { int8: 8, int4: 4 } as const;
export type Bits = (typeof BITS)[keyof typeof BITS];

/** Names of the two tensors that stand for the weight of the linear layer `name`. */
export function quantizedNames(name: string): { readonly values: string; readonly scales: string } {
  return { values: `${name}.weight.quantized`, scales: `${name}.weight.scales` };
}

/** Shapes of the two tensors for a layer of `inputs` and `outputs`. The last block is filled up with zeros. */
export function quantizedShapes(
  inputs: number,
  outputs: number,
  bits: Bits,
): { readonly values: readonly [number, number, number]; readonly scales: readonly [number, number] } {
  const blocks = Math.ceil(inputs / BLOCK);
  return { values: [outputs, blocks, (BLOCK * bits) / 8], scales: [outputs, blocks] };
}

/** Quantised weights of some outputs of a layer: `values` bytes and `scales`, as `quantizedShapes` shapes them. */
export interface QuantizedRows {
  readonly values: Uint8Array;
  readonly scales: Float32Array;
}

/**
 * Quantises the weights of `outputs` outputs. `source[output * outputStride + input * inputStride]` is one of them: a
 * matrix may lie either way round. No value is further from its own than its block's largest magnitude divided by the
 * middle, 128 or 8; all but those near the largest with the opposite sign are within half of that.
 */
export function quantizeRows(
  source: Float32Array,
  { inputs, outputs, inputStride, outputStride }: MatrixLayout,
  bits: Bits,
): QuantizedRows {
  const blocks = Math.ceil(inputs / BLOCK);
  const values = new Uint8Array((outputs * blocks * BLOCK * bits) / 8);
  const scales = new Float32Array(outputs * blocks);
  const integers = new Uint8Array(BLOCK);
  for (let block = 0; block < outputs * blocks; block++) {
    const first = (block % blocks) * BLOCK;
    const start = Math.floor(block / blocks) * outputStride + first * inputStride;
    const count = Math.min(BLOCK, inputs - first);
    scales[block] = quantizeBlock(source, start, inputStride, count, bits, integers);
    pack(integers, bits, values, (block * BLOCK * bits) / 8);
  }
  return { values, scales };
}

/** Size and strides of a matrix in memory. */
export interface MatrixLayout {
  readonly inputs: number;
  readonly outputs: number;
  /** Elements from one input's weight to the next one's. */
  readonly inputStride: number;
  readonly outputStride: number;
}

/** Writes a block's integers and returns its scale: the largest magnitude becomes the range's lower end exactly. */
function quantizeBlock(
  source: Float32Array,
  start: number,
  stride: number,
  count: number,
  bits: Bits,
  integers: Uint8Array,
): number {
  const middle = 1 << (bits - 1);
  let extreme = 0;
  for (let i = 0, at = start; i < count; i++, at += stride) {
    const value = source[at] as number;
    if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  }
  const scale = Math.fround(-extreme / middle);
  integers.fill(middle);
  if (scale === 0) return 0; // also where a subnormal extreme leaves no scale
  for (let i = 0, at = start; i < count; i++, at += stride) {
    const integer = Math.round((source[at] as number) / scale) + middle;
    integers[i] = Math.max(0, Math.min(2 * middle - 1, integer));
  }
  return scale;
}

/** One byte each for 8 bits; for 4 bits the even one in a byte's lower half. */
function pack(integers: Uint8Array, bits: Bits, target: Uint8Array, at: number): void {
  if (bits === 8) {
    target.set(integers, at);
    return;
  }
  for (let i = 0; i < BLOCK / 2; i++) {
    target[at + i] = (integers[2 * i] as number) | ((integers[2 * i + 1] as number) << 4);
  }
}
