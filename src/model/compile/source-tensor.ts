import fs from 'node:fs/promises';
import path from 'node:path';

import { type Dtype, DTYPE_BYTES, decodeFloats } from '../../safetensors/index.js';
import { CheckpointError } from '../checkpoint-error.js';

/** Bytes read, converted and handed on at once. */
const PIECE_BYTES = 4 << 20;

/** A tensor of a checkpoint: where its bytes lie. */
export interface SourceTensor {
  readonly file: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Absolute byte offset in the file. */
  readonly begin: number;
  readonly end: number;
}

/** The values in order as float32, in pieces of a few megabytes. Throws `CheckpointError`, with the weight's `name`, where the file has ended. */
export async function* readValues(tensor: SourceTensor, name: string): AsyncGenerator<Float32Array<ArrayBuffer>, void> {
  const file = await fs.open(tensor.file, 'r');
  const elementBytes = DTYPE_BYTES[tensor.dtype];
  try {
    const bytes = new Uint8Array(PIECE_BYTES);
    for (let at = tensor.begin; at < tensor.end;) {
      const { bytesRead } = await file.read(bytes, 0, Math.min(PIECE_BYTES, tensor.end - at), at);
      const whole = bytesRead - (bytesRead % elementBytes);
      if (whole === 0) throw new CheckpointError(`${path.basename(tensor.file)}: ended within ${name}`);
      yield decodeFloats(bytes.subarray(0, whole), tensor.dtype);
      at += whole;
    }
  } finally {
    await file.close();
  }
}

/** Whether two tensors have the same shape and values, whatever types they are stored in. */
export async function haveEqualValues(one: SourceTensor, other: SourceTensor): Promise<boolean> {
  if (one.shape.join() !== other.shape.join()) return false;
  const others = new ValueReader(readValues(other, 'a copy'));
  try {
    for await (const values of readValues(one, 'a copy')) if (!(await others.continueWith(values))) return false;
    return true;
  } finally {
    await others.close();
  }
}

/** Compares values in pieces of any size with those of a tensor. */
class ValueReader {
  #rest = new Float32Array();

  constructor(private readonly pieces: AsyncGenerator<Float32Array<ArrayBuffer>, void>) {}

  /** Whether the next values are these. */
  async continueWith(values: Float32Array): Promise<boolean> {
    for (let at = 0; at < values.length;) {
      if (this.#rest.length === 0) {
        const next = await this.pieces.next();
        if (next.done === true) return false;
        this.#rest = next.value;
      }
      const count = Math.min(values.length - at, this.#rest.length);
      for (let i = 0; i < count; i++) if (values[at + i] !== this.#rest[i]) return false;
      this.#rest = this.#rest.subarray(count);
      at += count;
    }
    return true;
  }

  async close(): Promise<void> {
    await this.pieces.return();
  }
}
