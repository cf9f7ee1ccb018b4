import type { ModelShape } from '../../prefix/kv.js';
import { elementCount } from '../../runtime/ort/tensor.js';
import { TuningError } from '../errors.js';
import { fitMlp } from './fit-mlp.js';
import { type ParameterName, parameterShapes, rowSets, type TunedShape } from '../method.js';
import type { RandomStream } from './random-stream.js';
import type { SiteRows } from '../training/training-model.js';
import { copyValues, type Values } from '../training/values.js';

export interface InitialOptions {
  readonly frozen: ModelShape;
  readonly shape: TunedShape;
  readonly random: RandomStream;
  /** `[vocabulary, width]`. */
  readonly tokenEmbeddings: Float32Array;
  /** Rows that training starts from, at every trained site; random ones unless given. */
  readonly rows?: SiteRows | undefined;
}

/**
 * The parameters before the first step. Random ones are those of PyTorch's layers, as in Li & Liang's code: `wte` and
 * direct rows from N(0, 1), linear layers from U(-1/sqrt(inputs), 1/sqrt(inputs)); soft-prompt embeddings are those of random tokens
 * (Lester et al. 2021). With rows and an MLP, the last layer is moved so that the MLP gives exactly these rows.
 */
export function initialValues(options: InitialOptions): Values {
  const { frozen, shape, rows } = options;
  if (rows === undefined) return randomValues(options);
  if (shape.mlp === 0) return copyValues(directValues(frozen, shape, rows));
  if (shape.length > shape.mlp) {
    throw new TuningError('mlp', `${shape.mlp} is less than the ${shape.length} virtual tokens that it starts from`);
  }
  const values = randomValues(options);
  for (const set of rowSets(frozen, shape)) {
    fitMlp(values, rows.get(set.site) as Float32Array, set, { width: frozen.width, mlp: shape.mlp });
  }
  return values;
}

/** Rows as the parameters of a shape without an MLP. */
export function directValues(frozen: ModelShape, shape: TunedShape, rows: SiteRows): Values {
  return new Map(rowSets(frozen, shape).map(({ site, nameOf }) => [nameOf('rows'), rows.get(site) as Float32Array]));
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
  const inputs: Record<string, number> = { w0: width, b0: width, w2: shape.mlp, b2: shape.mlp };
  return new Map(
    [...parameterShapes(frozen, shape)].map(([name, dims]) => {
      const of = inputs[name.split('.').at(-1) as string]; // undefined for `wte` and `rows`
      const draw = (): number => (of === undefined ? random.normal() : (2 * random.uniform() - 1) / Math.sqrt(of));
      return [name, Float32Array.from({ length: elementCount(dims) }, draw)];
    }),
  );
}
