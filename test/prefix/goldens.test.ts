import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { readAdapter } from '../../src/prefix/adapter/read.js';
import { type BaseModel, rowWidth, selfSite } from '../../src/prefix/kv.js';

/** A complete set beside the repository, or the part of it that the repository keeps. */
const complete = fileURLToPath(new URL('../../../shared/goldens', import.meta.url));
const root = fs.existsSync(complete) ? complete : fileURLToPath(new URL('../goldens', import.meta.url));
const models = list('adapters');

function list(...folders: string[]): string[] {
  const directory = path.join(root, ...folders);
  return fs.existsSync(directory) ? fs.readdirSync(directory).sort() : [];
}

function baseModel(id: string): BaseModel {
  const config = JSON.parse(fs.readFileSync(path.join(root, 'models', id, 'config.json'), 'utf8')) as Record<
    string,
    number
  >;
  const field = (name: string): number => config[name] as number;
  return {
    id,
    fingerprint: '0'.repeat(64),
    sites: [
      { name: 'self', layers: field('n_layer'), kvHeads: field('n_head'), headDim: field('n_embd') / field('n_head') },
    ],
    width: field('n_embd'),
    contextLength: field('n_positions'),
    vocabularySize: field('vocab_size'),
  };
}

function files(modelName: string, adapter: string): { config: Buffer; model: Buffer } {
  const directory = path.join(root, 'adapters', modelName, adapter);
  return {
    config: fs.readFileSync(path.join(directory, 'adapter_config.json')),
    model: fs.readFileSync(path.join(directory, 'adapter_model.safetensors')),
  };
}

describe.skipIf(models.length === 0)('adapters that PEFT wrote (skipped where there are no goldens)', () => {
  const cases = models.flatMap((model) => list('adapters', model).map((adapter) => [model, adapter] as const));

  it.each(cases)('%s accepts %s', (model, adapter) => {
    const base = baseModel(model);
    const soft = /^(prompt|ptuning)-/.test(adapter);
    const length = Number(/\d+$/.exec(adapter)?.[0]);
    const read = readAdapter(files(model, adapter), base);
    expect(read).toMatchObject({ kind: soft ? 'soft_prompt' : 'prefix', placement: 'prefix', length, warnings: [] });
    expect(read.rows.length).toBe(length * (soft ? base.width : rowWidth(selfSite(base))));
    expect(read.rows.every(Number.isFinite)).toBe(true);
  });

  it.each(cases)('%s with another head count refuses %s', (model, adapter) => {
    const known = baseModel(model);
    const base = { ...known, sites: [{ ...selfSite(known), kvHeads: 1, headDim: known.width }] };
    expect(() => readAdapter(files(model, adapter), base)).toThrow(
      expect.objectContaining({ code: 'num_attention_heads_mismatch' }),
    );
  });
});
