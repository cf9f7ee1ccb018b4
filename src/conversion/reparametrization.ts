import { ConversionError } from './errors.js';
import { matrixShape, type SourceTensors, valuesOf } from './tensors.js';

/** Most numbers in the rows of one site, and in a layer's activations: 1 GiB of float32. */
const MAX_NUMBERS = 1 << 28;

/** Rows of virtual tokens at one site, as `PrefixKv` has them. */
export interface SiteRows {
  /** `[length, columns]` */
  readonly rows: Float32Array;
  /** Virtual tokens. */
  readonly length: number;
  /** Width of the model's residual stream. */
  readonly width: number;
}

/**
 * Computes the rows that Li and Liang's parametrization stands for: the embeddings `EMBEDDINGS.weight` `[P, width]`, sent through the
 * linear layers `MLP.0`, `MLP.2` and so on, with a tanh between two of them. Sums are in double precision.
 * @throws ConversionError for shapes that do not fit each other, and names the tensor
 */
export function foldMlp(tensors: SourceTensors, embeddings: string, mlp: string): SiteRows {
  const [length, width] = matrixShape(tensors, `${embeddings}.weight`);
  let rows = valuesOf(tensors, `${embeddings}.weight`, length, width);
  let columns = width;
  for (let layer = 0; layer === 0 || tensors.has(`${mlp}.${layer}.weight`); layer += 2) {
    const name = `${mlp}.${layer}.weight`;
    const [outputs] = matrixShape(tensors, name);
    checkSize(name, length, outputs);
    const weight = valuesOf(tensors, name, outputs, columns);
    const bias = valuesOf(tensors, `${mlp}.${layer}.bias`, outputs);
    rows = linear(layer === 0 ? rows : rows.map(Math.tanh), length, weight, bias);
    columns = outputs;
  }
  return { rows, length, width };
}

/** Throws ConversionError for more numbers than any prefix has. */
export function checkSize(name: string, length: number, columns: number): void {
  if (length * columns <= MAX_NUMBERS) return;
  throw new ConversionError(
    `${name}: ${length} virtual tokens of ${columns} numbers; at most ${MAX_NUMBERS} numbers are accepted`,
  );
}

/** `inputs @ weight' + bias` for `[length, inputs]`. The large weights are read once: the loop over the few rows is the inner one. */
function linear(inputs: Float32Array, length: number, weight: Float32Array, bias: Float32Array): Float32Array {
  const columns = inputs.length / length;
  const outputs = new Float32Array(length * bias.length);
  for (let output = 0; output < bias.length; output++) {
    const begin = output * columns;
    for (let row = 0; row < length; row++) {
      let sum = bias[output] as number;
      const input = row * columns;
      for (let i = 0; i < columns; i++) sum += (inputs[input + i] as number) * (weight[begin + i] as number);
      outputs[row * bias.length + output] = sum;
    }
  }
  return outputs;
}
