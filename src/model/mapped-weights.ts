import path from 'node:path';

import { type MappedFile, mapFile } from '../runtime/mapped-file.js';
import type { Runtime } from '../runtime/runtime.js';
import { Tensor } from '../runtime/tensor.js';
import { type Manifest, WEIGHTS_FILE } from './compiled-model.js';
import { CheckpointError } from './config.js';
import { byteLength } from './weights.js';

/** Native things in the order in which they were made; released in the opposite one. */
export class Owned {
  readonly #things: { dispose(): void | Promise<void> }[] = [];

  add<T extends { dispose(): void | Promise<void> }>(thing: T): T {
    this.#things.push(thing);
    return thing;
  }

  async dispose(): Promise<void> {
    for (let thing = this.#things.pop(); thing !== undefined; thing = this.#things.pop()) await thing.dispose();
  }
}

/** A compiled model's weights. */
export interface MappedWeights {
  readonly file: MappedFile;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** `[vocabulary, width]`. */
  readonly embeddings: Float32Array;
}

/** The compiled weights in memory, one tensor each: every session uses the same ones. */
export function mapWeights(runtime: Runtime, directory: string, manifest: Manifest, owned: Owned): MappedWeights {
  const file = mapFile(runtime, path.join(directory, WEIGHTS_FILE));
  owned.add(file.memory);
  if (file.memory.bytes !== manifest.weightBytes) {
    throw new CheckpointError(
      `${directory}: ${WEIGHTS_FILE} has ${file.memory.bytes} bytes, not ${manifest.weightBytes}`,
    );
  }
  const tensors = new Map(
    manifest.weights.map(({ name, shape, offset }) => [
      name,
      owned.add(new Tensor(runtime, 'float32', shape, file.memory, offset)),
    ]),
  );
  const wte = manifest.weights.find(({ name }) => name === 'wte.weight');
  if (wte === undefined) throw new CheckpointError(`${directory}: no wte.weight`);
  return { file, tensors, embeddings: file.memory.float32(wte.offset, byteLength(wte) / 4) };
}
