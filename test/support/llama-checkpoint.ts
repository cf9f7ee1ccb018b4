import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { encodeSafetensors, type FloatTensor } from '../../src/safetensors/index.js';
import { golden, readTensors } from './goldens.js';

const INDEX = 'model.safetensors.index.json';

/** Directory of the golden `tiny-llama3` with its weights in one float32 file; removed when the process ends. */
export function llamaCheckpoint(): string {
  const { directory } = golden('tiny-llama3');
  const target = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-llama-'));
  process.once('exit', () => fs.rmSync(target, { recursive: true, force: true }));
  const tensors: Record<string, FloatTensor> = {};
  for (const file of fs.readdirSync(directory)) {
    const source = path.join(directory, file);
    if (file.endsWith('.safetensors')) Object.assign(tensors, readTensors(source));
    else if (file !== INDEX) fs.copyFileSync(source, path.join(target, file));
  }
  fs.writeFileSync(path.join(target, 'model.safetensors'), encodeSafetensors(tensors));
  return target;
}
