import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach } from 'vitest';

import { compileModel } from '../../src/model/compile/compiled-model.js';
import { CheckpointCopy } from '../support/checkpoint-copy.js';
import { type SeenOutcome, testDocumentedRows } from '../support/documented-rows.js';
import { golden } from '../support/goldens.js';

const gpt2 = golden('tiny-a').directory;
let directory: string;

beforeEach(async () => void (directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-documented-'))));
afterEach(() => fs.rm(directory, { recursive: true }));

/** Changes a checkpoint into what a row is about. */
type Change = (copy: CheckpointCopy) => Promise<void>;

const nothing: Change = () => Promise.resolve();

testDocumentedRows<Change>('Base models', { '`model.safetensors`, F32': nothing }, async (change) => {
  const copy = await CheckpointCopy.of(gpt2, path.join(directory, 'model'));
  await change(copy);
  return compileModel({ source: copy.directory, cache: path.join(directory, 'cache') }).then(
    (): SeenOutcome => ({ outcome: 'taken', messages: [] }),
    (error: Error): SeenOutcome => ({ outcome: 'refused', messages: [error.message] }),
  );
});
