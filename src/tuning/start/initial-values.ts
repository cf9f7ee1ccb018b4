import type { ModelShape } from '../../prefix/kv.js';
import { elementCount } from '../../runtime/ort/tensor.js';
import { TuningError } from '../errors.js';
import { fitMlp } from './fit-mlp.js';
import { type ParameterName, parameterShapes, type TunedShape } from '../method.js';
import type { RandomStream } from './random-stream.js';
import type { Values } from '../training/values.js';

export interface InitialOptions {
  readonly frozen: ModelShape;
  readonly shape: TunedShape;
  readonly random: RandomStream;
  /** `[vocabulary, width]`. */
  readonly tokenEmbeddings: Float32Array;
  /** Rows that training starts from; random ones unless given. */
  readonly rows?: Float32Array | undefined;
}

/**
 * The parameters before the first step. Random ones are those of PyTorch's layers, as in Li & Liang's code: `wte` and
 * direct rows from N(0, 1), linear layers from U(-1/sqrt(inputs), 1/sqrt(inputs)); soft-prompt embeddings are those of random tokens
 * (Lester et al. 2021). With rows and an MLP, the last layer is moved so that the MLP gives exactly these rows.
 */
export function initialValues(options: InitialOptions): Values {
  const { shape, rows } = options;
  if (rows !== undefined && shape.mlp === 0) return new Map([['rows', rows.slice()]]);
  if (rows !== undefined && shape.length > shape.mlp) {
    throw new TuningError('mlp', `${shape.mlp} is less than the ${shape.length} virtual tokens that it starts from`);
  }
  const values = randomValues(options);
  if (rows !== undefined) fitMlp(values, rows, options.frozen, shape);
  return values;
}

function randomValues({ frozen, shape, random, tokenEmbeddings }: InitialOptions): Map<ParameterName, Float32Array> {
  const { width } = frozen;
  if (shape.mlp === 0 && shape.method === 'embedding') {
    const rows = new Float32Array(shape.length * width);
    for (let p = 0; p < shape.length; p++) {
      const id = random.below(frozen.vocabularySize);
      rows.set(tokenEmbeddings.subarray(id * width, (id + 1) * width), p * width);
    }
    return new Map([['rows', rows]]);
  }
  const shapes = Object.entries(parameterShapes(frozen, shape)) as [ParameterName, readonly number[]][];
  const inputs = { w0: width, b0: width, w2: shape.mlp, b2: shape.mlp };
  return new Map(
    shapes.map(([name, dims]) => {
      const draw = (): number =>
        name === 'wte' || name === 'rows' ? random.normal() : (2 * random.uniform() - 1) / Math.sqrt(inputs[name]);
      return [name, Float32Array.from({ length: elementCount(dims) }, draw)];
    }),
  );
}
