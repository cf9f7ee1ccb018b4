import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { compileModel, readManifest } from '../../src/model/compile/compiled-model.js';
import type { WeightPrecision } from '../../src/model/precision.js';
import { CheckpointCopy } from '../support/checkpoint-copy.js';
import { golden } from '../support/goldens.js';

let directory: string;
let copy: CheckpointCopy;
beforeEach(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-tokenizer-'));
  copy = await CheckpointCopy.of(golden('tiny-a').directory, path.join(directory, 'model'));
});
afterEach(() => fs.rm(directory, { recursive: true }));

const compile = (weights: WeightPrecision = 'float32'): Promise<string> =>
  compileModel({ source: copy.directory, cache: path.join(directory, 'cache'), weights });
const fingerprint = async (compiled: string): Promise<string | undefined> =>
  (await readManifest(compiled))?.fingerprint;
const write = (name: string): Promise<void> => fs.writeFile(copy.file(name), '{}');

it('beside a tokenizer.json, the files of older tokenizers are no part of the model', async () => {
  const compiled = await compile();
  for (const name of ['vocab.json', 'merges.txt', 'added_tokens.json', 'special_tokens_map.json']) await write(name);
  expect(await compile()).toBe(compiled);
});

it('without one they are: another tokenizer is another model, and none is yet another', async () => {
  const [whole] = [await compile()];
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) await fs.rm(copy.file(name), { force: true });
  const none = await compile();
  await write('special_tokens_map.json');
  expect(await compile()).toBe(none);
  for (const name of ['vocab.json', 'merges.txt']) await write(name);
  const parts = await compile();
  expect((await fs.readdir(parts)).filter((name) => /vocab|merges|token/.test(name)).sort()).toEqual([
    'merges.txt',
    'special_tokens_map.json',
    'vocab.json',
  ]);
  const prints = await Promise.all([whole, none, parts].map(fingerprint));
  expect(new Set(prints).size).toBe(3);
});

it('a chat template is not: a model with another one is the same model, and has the new one in every precision', async () => {
  const template = 'chat_template.jinja';
  const known = await fingerprint(await compile());
  for (const text of ['old', 'new']) {
    await fs.writeFile(copy.file(template), text);
    for (const weights of ['float32', 'int8'] as const) {
      const compiled = await compile(weights);
      expect(await fingerprint(compiled)).toBe(known);
      expect(await fs.readFile(path.join(compiled, template), 'utf8')).toBe(text);
    }
  }
});
