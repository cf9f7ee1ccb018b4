import fs from 'node:fs/promises';

import type { Matrix } from '../architecture.js';
import { CheckpointError } from '../checkpoint-error.js';
import type { DerivedForm } from './derived-form.js';
import { DerivedWriter } from './derived-writer.js';
import { type Bits, quantizedNames, quantizedShapes } from './quantize.js';
import { columnNames, MAX_COLUMN_INPUTS } from './quantize-columns.js';
import { layOut, type WeightSpan, type WeightSpec } from '../weights.js';

type MatrixOf = (weight: WeightSpec) => Matrix | undefined;

export interface DeriveOptions {
  /** A float32 `weights.bin`, which is only read, and its weights. */
  readonly source: string;
  readonly sourceWeights: readonly WeightSpan[];
  /** The matrix product that a weight belongs to; undefined where it belongs to none. */
  readonly matrixOf: MatrixOf;
  readonly form: DerivedForm;
  /** The file that is written; it must not exist. */
  readonly target: string;
  readonly onProgress?: ((written: number, total: number) => void) | undefined;
}

/**
 * Writes a model's weights in another precision, one weight at a time, and returns where each lies.
 * float16: all of them. Few bits: the matrices of linear layers and the head, which makes a tied head's a weight of
 * its own; embeddings, norms and biases stay float32.
 */
export async function deriveWeights(options: DeriveOptions): Promise<{ spans: WeightSpan[]; bytes: number }> {
  const { matrixOf, form, sourceWeights, onProgress } = options;
  const layout = layOut(sourceWeights.flatMap((spec) => derivedSpecs(spec, matrixOf(spec), form)));
  const source = await fs.open(options.source, 'r');
  try {
    const target = await fs.open(options.target, 'wx');
    try {
      await target.truncate(layout.bytes);
      const writer = new DerivedWriter(source, target, layout.spans, form);
      for (const weight of sourceWeights) {
        await writer.write(weight, matrixOf(weight));
        onProgress?.(writer.written, layout.bytes);
      }
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  return layout;
}

/** The weights that a float32 weight becomes. */
function derivedSpecs(spec: WeightSpec, matrix: Matrix | undefined, form: DerivedForm): WeightSpec[] {
  if (form.kind === 'float16') return [{ ...spec, type: 'float16' }];
  if (matrix === undefined) return [spec];
  const embedding = matrix.isEmbedding ? [spec] : [];
  return [
    ...embedding,
    ...(form.kind === 'blocks' ? blockSpecs(matrix, form.bits) : columnSpecs(matrix, form.isSigned)),
  ];
}

function blockSpecs({ name, inputs, outputs }: Matrix, bits: Bits): WeightSpec[] {
  const names = quantizedNames(name);
  const shapes = quantizedShapes(inputs, outputs, bits);
  return [
    { name: names.values, shape: shapes.values, type: 'uint8' },
    { name: names.scales, shape: shapes.scales },
  ];
}

function columnSpecs({ name, inputs, outputs }: Matrix, isSigned: boolean): WeightSpec[] {
  if (inputs > MAX_COLUMN_INPUTS) {
    throw new CheckpointError(
      `int8 cannot hold ${name}: it has ${inputs} inputs, at most ${MAX_COLUMN_INPUTS}`,
      'weights',
    );
  }
  const names = columnNames(name);
  return [
    { name: names.values, shape: [inputs, outputs], type: isSigned ? 'int8' : 'uint8' },
    { name: names.scales, shape: [outputs] },
    { name: names.sums, shape: [outputs] },
  ];
}
