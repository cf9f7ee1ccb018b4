import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { decodeKv, encodeStoredKv } from '../../src/prefix/adapter/kv-file.js';
import { readSitesAdapter } from '../../src/prefix/adapter/read-sites.js';
import type { BaseModel } from '../../src/prefix/kv.js';
import { readTensors } from '../support/goldens.js';

/** Beside the repository, which keeps none of them. */
const root = fileURLToPath(new URL('../../../shared/goldens/bart', import.meta.url));
const adapters = path.join(root, 'adapters');
const cases = fs.existsSync(adapters)
  ? fs.readdirSync(adapters).flatMap((model) => fs.readdirSync(path.join(adapters, model)).map((name) => [model, name]))
  : [];

function baseModel(id: string): BaseModel {
  const file = path.join(root, 'models', id, 'config.json');
  const config = JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, number>;
  const field = (name: string): number => config[name] as number;
  const site = (name: string, side: string) => ({
    name,
    layers: field(`${side}_layers`),
    kvHeads: field(`${side}_attention_heads`),
    headDim: field('d_model') / field(`${side}_attention_heads`),
  });
  return {
    id,
    fingerprint: '0'.repeat(64),
    sites: [site('encoder', 'encoder'), site('decoder', 'decoder'), site('cross', 'decoder')],
    width: field('d_model'),
    contextLength: field('max_position_embeddings'),
    sourceLength: field('max_position_embeddings'),
    vocabularySize: field('vocab_size'),
  };
}

describe.skipIf(cases.length === 0)('adapters of an encoder-decoder (skipped where there are no goldens)', () => {
  it.each(cases)('%s accepts %s, and stores what it serves', (model = '', name = '') => {
    const base = baseModel(model);
    const directory = path.join(adapters, model, name);
    const read = (file: string): Buffer => fs.readFileSync(path.join(directory, file));
    const files = { config: read('adapter_config.json'), model: read('adapter_model.safetensors') };
    const { kind, kv, length, warnings } = readSitesAdapter(files, base);
    const isPeft = name.startsWith('peft-');
    expect(warnings).toHaveLength(isPeft ? 1 : 0);
    if (name !== 'uneven') expect(length).toBe(Number(/\d+$/.exec(name)?.[0]));
    const stored = kind === 'prefix' ? files.model : encodeStoredKv(kv, base);
    expect(decodeKv(stored, base)).toEqual(kv);

    const tensors = readTensors(path.join(directory, 'adapter_model.safetensors'));
    if (!isPeft) {
      expect(kv.shift).toBe(0);
      expect([...kv.rows.keys()].map((site) => `${site}.prompt_embeddings`).sort()).toEqual(
        Object.keys(tensors).sort(),
      );
      for (const [site, rows] of kv.rows) expect(rows).toEqual(tensors[`${site}.prompt_embeddings`]?.data);
      return;
    }
    const { data, shape } = tensors['prompt_embeddings']!;
    const columns = shape[1] as number;
    if (kind === 'soft_prompt') expect(kv.sourceEmbeddings).toEqual(data.slice(0, length * base.width));
    else {
      const [layers, needed] = [columns / (2 * base.width), base.sites[1]!.layers];
      const served = Array.from({ length: length * needed * 2 * base.width }, (_, i) => {
        const [token, column] = [Math.floor(i / (needed * 2 * base.width)), i % (needed * 2 * base.width)];
        const pair = (2 * Math.floor(column / (2 * base.width))) % layers;
        return data[token * columns + pair * 2 * base.width + (column % (2 * base.width))];
      });
      expect([...kv.rows.get('decoder')!]).toEqual(served);
      expect(kv.shift).toBe(length);
    }
  });
});
