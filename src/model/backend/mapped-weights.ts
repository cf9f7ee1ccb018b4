import path from 'node:path';

import { type MappedFile, mapFile } from '../../runtime/libc/mapped-file.js';
import type { Runtime } from '../../runtime/ort/runtime.js';
import { ELEMENT_TYPES, Tensor } from '../../runtime/ort/tensor.js';
import { decodeFloats } from '../../safetensors/index.js';
import { type Manifest, WEIGHTS_FILE } from '../compile/compiled-model.js';
import type { DisposableStack } from './disposable-stack.js';
import { architectureNamed } from '../architectures.js';
import { CheckpointError } from '../checkpoint-error.js';
import { byteLength } from '../weights.js';

/** A compiled model's weights. */
export interface MappedWeights {
  readonly file: MappedFile;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The embedding of a token, `[width]`. */
  readonly embedding: (id: number) => Float32Array;
  /** `[vocabulary, width]`; throws `CheckpointError` unless the model is kept in float32. */
  readonly allEmbeddings: () => Float32Array;
}

/** The compiled weights in memory, one tensor each: every session uses the same ones. */
export function mapWeights(
  runtime: Runtime,
  directory: string,
  manifest: Manifest,
  resources: DisposableStack,
): MappedWeights {
  const file = mapFile(runtime, path.join(directory, WEIGHTS_FILE));
  resources.use(file.memory);
  if (file.memory.bytes !== manifest.weightBytes) {
    throw new CheckpointError(
      `${directory}: ${WEIGHTS_FILE} has ${file.memory.bytes} bytes, not ${manifest.weightBytes}`,
    );
  }
  const tensors = new Map(
    manifest.weights.map(({ name, shape, offset, type = 'float32' }) => [
      name,
      resources.use(new Tensor(runtime, type, shape, file.memory, offset)),
    ]),
  );
  return { file, tensors, ...embeddingsOf(file, directory, manifest) };
}

function embeddingsOf(
  { memory }: MappedFile,
  directory: string,
  { weights, precision, architecture, shape }: Manifest,
): Pick<MappedWeights, 'embedding' | 'allEmbeddings'> {
  const { tokenEmbeddings } = architectureNamed(architecture);
  const table = weights.find(({ name }) => name === tokenEmbeddings);
  if (table === undefined) throw new CheckpointError(`${directory}: no ${tokenEmbeddings}`);
  const { offset, type = 'float32' } = table;
  const rowBytes = shape.width * ELEMENT_TYPES[type].bytes;
  const embedding = (id: number): Float32Array =>
    decodeFloats(memory.bytesAt(offset + id * rowBytes, rowBytes), type === 'float16' ? 'F16' : 'F32');
  const allEmbeddings = (): Float32Array => {
    if (precision === 'float32') return memory.float32(offset, byteLength(table) / 4);
    throw new CheckpointError(`${directory}: float32 weights are needed here, these are ${precision}`);
  };
  return { embedding, allEmbeddings };
}
