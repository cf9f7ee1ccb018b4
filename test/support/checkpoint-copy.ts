import fs from 'node:fs/promises';
import path from 'node:path';

import { encodeSafetensors, type FloatTensor } from '../../src/safetensors/index.js';
import { readTensors } from './goldens.js';

/** A copy of a checkpoint, to be changed. */
export class CheckpointCopy {
  private constructor(readonly directory: string) {}

  /** Copies the checkpoint to `target`, which must not exist. */
  static async of(source: string, target: string): Promise<CheckpointCopy> {
    await fs.cp(source, target, { recursive: true });
    for (const file of await fs.readdir(target)) await fs.chmod(path.join(target, file), 0o644);
    return new CheckpointCopy(target);
  }

  /** Path of a file of the copy. */
  file(name: string): string {
    return path.join(this.directory, name);
  }

  /** Sets fields of a JSON file; undefined removes one. */
  async changeConfig(change: Readonly<Record<string, unknown>>, name = 'config.json'): Promise<void> {
    const json = JSON.parse(await fs.readFile(this.file(name), 'utf8')) as object;
    await fs.writeFile(this.file(name), JSON.stringify({ ...json, ...change }));
  }

  /** Changes the tensors of `model.safetensors`, and writes them as float32. */
  async changeTensors(change: (tensors: Record<string, FloatTensor>) => void): Promise<void> {
    const tensors = readTensors(this.file('model.safetensors'));
    change(tensors);
    await fs.writeFile(this.file('model.safetensors'), encodeSafetensors(tensors));
  }
}
