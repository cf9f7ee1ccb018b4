import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { type Model, openModel, type OpenModelOptions } from '../../src/model/model.js';

/** Compiled models of one test process; removed when it ends. */
export const modelCache = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-models-'));
process.once('exit', () => {
  fs.rmSync(modelCache, { recursive: true, force: true });
});

/** Opens a checkpoint with few slots and two threads. */
export function openTestModel(source: string, options: Partial<OpenModelOptions> = {}): Promise<Model> {
  return openModel({ source, cache: modelCache, slots: 8, threads: 2, ...options });
}
