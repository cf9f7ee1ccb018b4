import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { bart } from '../../src/model/bart/architecture.js';
import { BartReference } from '../support/bart-reference.js';
import { CheckpointCopy } from '../support/checkpoint-copy.js';
import { type FloatTensor, readTensors } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { randomBart } from '../support/random-bart.js';

const SOURCE = [0, 40, 77, 12, 2];
const TARGET = [2, 9, 31];

/** A BART whose head was trained alone: its embeddings in another order. */
async function withOwnHead(fields: object): Promise<CheckpointCopy> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-head-'));
  onTestFinished(() => fs.rm(directory, { recursive: true }));
  const copy = await CheckpointCopy.of(randomBart().directory, path.join(directory, 'own-head'));
  await copy.changeTensors((tensors) => {
    const { shape, data } = tensors['model.shared.weight'] as FloatTensor;
    tensors['lm_head.weight'] = { shape, data: data.slice().reverse() };
  });
  await copy.changeConfig({ ...fields });
  return copy;
}

it.each([
  ['that says so', { tie_word_embeddings: false }, 'float32', 1e-3],
  ['that ties it', {}, 'float32', 1e-3],
  ['that ties it, in blocks of 8 bits', {}, 'int8', 0.5],
] as const)('the head of a BART is served beside a config.json %s', async (_, fields, weights, tolerance) => {
  const copy = await withOwnHead(fields);
  const model = await openTestModel(copy.directory, { slots: 1, weights });
  onTestFinished(() => model.dispose());
  expect(model.warnings).toHaveLength('tie_word_embeddings' in fields ? 0 : 1);
  const encoding = model.runner.sources?.begin(0, SOURCE);
  while (!((await encoding?.advance(64)) ?? true)); // until it is encoded
  encoding?.dispose();
  const row = { slot: 0, source: 0, tokens: TARGET, past: 0, logits: 'last', temperature: 1 } as const;
  const logits = (await model.runner.step({ rows: [row], topK: 1 })).logits(0).slice();

  const config = bart.withOwnHead(randomBart().config);
  const tensors = Object.entries(readTensors(copy.file('model.safetensors')));
  const values = new Map(tensors.map(([name, { data }]) => [bart.weightName(name) ?? name, data]));
  const expected = new BartReference(config, values).logits(SOURCE, TARGET).at(-1) ?? [];
  expect(expected).toHaveLength(logits.length);
  logits.forEach((logit, id) => expect(Math.abs(logit - (expected[id] as number))).toBeLessThan(tolerance));
});
