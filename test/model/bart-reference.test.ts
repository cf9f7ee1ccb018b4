import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import type { Json } from '../../src/model/architecture.js';
import { bart } from '../../src/model/bart/architecture.js';
import { parseConfig } from '../../src/model/bart/config.js';
import type { PrefixKv } from '../../src/prefix/kv.js';
import { BartReference } from '../support/bart-reference.js';
import { type FloatTensor, readTensors } from '../support/goldens.js';

/** What Transformers and `adapters` computed; not in the repository. */
const root = fileURLToPath(new URL('../../../shared/goldens/bart', import.meta.url));

interface Case {
  readonly id: string;
  readonly adapter: string | null;
  readonly source: number[];
  readonly ids: number[];
}

describe.skipIf(!fs.existsSync(root))('the reference of a BART', () => {
  it.each(['tiny-bart-a', 'tiny-bart-b'])('computes what Transformers computes of %s', (name) => {
    const directory = path.join(root, 'models', name);
    const config = parseConfig(JSON.parse(fs.readFileSync(path.join(directory, 'config.json'), 'utf8')) as Json);
    const files = fs.readdirSync(directory).filter((file) => file.endsWith('.safetensors'));
    const tensors = files.flatMap((file) => Object.entries(readTensors(path.join(directory, file))));
    const weights = new Map(tensors.map(([tensor, { data }]) => [bart.weightName(tensor) ?? '', data]));
    const reference = new BartReference(config, weights);
    const expected = (file: string): string => path.join(root, 'expected', `${name}.${file}`);
    const { cases } = JSON.parse(fs.readFileSync(expected('greedy.json'), 'utf8')) as { cases: Case[] };
    const firstLogits = readTensors(expected('safetensors'))['first_logits'] as FloatTensor;
    const known = ['base/3', 'sites-6/2', 'uneven/3', 'encoder-5/1'];
    for (const [index, { id, adapter, source, ids }] of cases.entries()) {
      if (!known.includes(id)) continue;
      const logits = reference.logits(
        source,
        [2, ...ids.slice(0, -1)],
        adapter === null ? undefined : read(name, adapter),
      );
      expect(logits.map((row) => row.indexOf(Math.max(...row)))).toEqual(ids);
      // The goldens are computed in float32.
      const { vocabularySize } = config;
      logits[0]?.forEach((x, token) => {
        expect(Math.abs(x - (firstLogits.data[index * vocabularySize + token] as number))).toBeLessThan(5e-3);
      });
    }
    expect(cases.filter(({ id }) => known.includes(id)).length).toBe(known.length);
  });
});

/** Rows of an adapter at its sites. */
function read(model: string, adapter: string): PrefixKv {
  const tensors = readTensors(path.join(root, 'adapters', model, adapter, 'adapter_model.safetensors'));
  const rows = Object.entries(tensors).map(([name, { data }]) => [name.split('.')[0] as string, data] as const);
  return { length: 0, shift: 0, rows: new Map(rows) };
}
