import { copyFile, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { convertPrefix, type ConvertedPrefix } from '../../src/conversion/convert.js';
import { ConversionError } from '../../src/conversion/errors.js';
import { readSourceFiles } from '../../src/conversion/source-files.js';
import type { SourceTensor } from '../../src/conversion/tensors.js';
import { readSitesAdapter } from '../../src/prefix/adapter/read-sites.js';
import type { BaseModel } from '../../src/prefix/kv.js';
import { decodeFloats, encodeSafetensors, parseSafetensors } from '../../src/safetensors/index.js';
import type { Json } from '../prefix/fixtures.js';

const goldens = fileURLToPath(new URL('goldens', import.meta.url));
const names = ['adapterhub', 'adapterhub-flat', 'li-liang', 'li-liang-deep'] as const;
type Golden = (typeof names)[number];

interface Source {
  readonly tensors: Map<string, SourceTensor>;
  readonly adapterConfig: Json | undefined;
  readonly modelConfig: Json | undefined;
}

/** What the golden's files hold, to be changed by a test. */
async function sourceOf(golden: Golden): Promise<Source> {
  const { tensors, adapterConfig, modelConfig } = await readSourceFiles(path.join(goldens, golden));
  return { tensors: new Map(tensors), adapterConfig, modelConfig };
}

async function converted(golden: Golden, change: (source: Source) => Partial<Source>): Promise<ConvertedPrefix> {
  const source = await sourceOf(golden);
  return convertPrefix({ ...source, ...change(source), base: undefined });
}

function floats(shape: readonly number[], value = 0): SourceTensor {
  const count = shape.reduce((all, dim) => all * dim, 1);
  return { shape, dtype: 'F32', bytes: new Uint8Array(new Float32Array(count).fill(value).buffer) };
}

/** The tensors with those whose names end so replaced, or removed. */
function replaced(tensors: ReadonlyMap<string, SourceTensor>, end: string, by?: SourceTensor): Source['tensors'] {
  const kept = [...tensors].flatMap(([name, tensor]) =>
    !name.endsWith(end) ? [[name, tensor] as const] : by === undefined ? [] : [[name, by] as const],
  );
  expect(kept).not.toEqual([...tensors]);
  return new Map(kept);
}

/** The library's config with fields of its inner object replaced. */
function configured(source: Source, fields: Json): Partial<Source> {
  const { config, ...rest } = source.adapterConfig as { config: Json };
  return { adapterConfig: { ...rest, config: { ...config, ...fields } } };
}

function rowsIn(file: Uint8Array): Map<string, Float32Array> {
  const { tensors } = parseSafetensors(file);
  return new Map(
    [...tensors].map(([name, { begin, end, dtype }]) => [name, decodeFloats(file.subarray(begin, end), dtype)]),
  );
}

/** The model that the goldens of AdapterHub were made for: 2 layers and 1. */
const shallow: BaseModel = {
  id: 'tiny',
  fingerprint: '00'.repeat(32),
  sites: [
    { name: 'encoder', layers: 2, kvHeads: 2, headDim: 2 },
    { name: 'decoder', layers: 1, kvHeads: 2, headDim: 2 },
    { name: 'cross', layers: 1, kvHeads: 2, headDim: 2 },
  ],
  ...{ width: 4, contextLength: 8, sourceLength: 8, vocabularySize: 8 },
};

describe('a converted prefix', () => {
  it.each(names)('of %s has the rows that the program itself computes', async (name) => {
    const expected = rowsIn(await readFile(path.join(goldens, name, 'expected.safetensors')));
    const { files, sites, width } = await converted(name, () => ({}));
    const rows = rowsIn(files.model);
    expect([...rows.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [tensor, values] of expected) {
      const found = rows.get(tensor)!;
      expect(found).toHaveLength(values.length);
      expect(Math.max(...values.map((value, i) => Math.abs(value - found[i]!)))).toBeLessThan(1e-6);
    }
    expect({ sites, width }).toEqual({ sites: { encoder: 3, decoder: 3, cross: 3 }, width: 4 });
  });

  it('is one that the server takes', async () => {
    const { files, encoderLayers, decoderLayers } = convertPrefix({
      ...(await sourceOf('adapterhub')),
      base: 'x/tiny',
    });
    expect({ encoderLayers, decoderLayers }).toEqual({ encoderLayers: 2, decoderLayers: 1 });
    const { kv, warnings } = readSitesAdapter(files, shallow);
    expect(warnings).toEqual([]);
    expect([...kv.rows.keys()]).toEqual(['encoder', 'decoder', 'cross']);
    expect(kv.shift).toBe(0);
  });

  it('names the base model of the files, and none where they have none', async () => {
    const base = ({ files }: ConvertedPrefix): unknown =>
      (JSON.parse(new TextDecoder().decode(files.config)) as Json)['base_model_name_or_path'];
    expect(base(await converted('li-liang', () => ({})))).toBe('facebook/bart-large');
    expect(base(await converted('adapterhub', () => ({})))).toBeNull();
    expect(base(await converted('li-liang', () => ({ modelConfig: undefined })))).toBeNull();
  });

  it('may lack sites', async () => {
    const only = ({ tensors }: Source): Source['tensors'] =>
      new Map([...tensors].filter(([name]) => name.includes('cross_prefix')));
    const { sites, encoderLayers } = await converted('adapterhub-flat', (source) => ({
      tensors: only(source),
      ...configured(source, { encoder_prefix: false }),
    }));
    expect({ sites, encoderLayers }).toEqual({ sites: { cross: 3 }, encoderLayers: undefined });
  });
});

describe('refusals', () => {
  const flat = 'self_prefix.control_trans';
  const weight = 'self_prefix.control_trans.2.weight';
  it.each<[what: string, golden: Golden, change: (source: Source) => Partial<Source>, message: string]>([
    ['gates', 'adapterhub', (s) => configured(s, { use_gating: true }), 'use_gating: true'],
    ['layers left out', 'adapterhub', (s) => configured(s, { leave_out: [0] }), 'leave_out'],
    ['another non-linearity', 'adapterhub', (s) => configured(s, { non_linearity: 'relu' }), 'non_linearity: "relu"'],
    ['another method', 'adapterhub', (s) => configured(s, { architecture: 'union' }), 'architecture: "union"'],
    [
      'another family',
      'adapterhub',
      (s) => ({ adapterConfig: { ...s.adapterConfig, model_type: 't5' } }),
      'model_type: "t5"',
    ],
    ['no config', 'adapterhub', () => ({ adapterConfig: undefined }), 'adapter_config.json: missing'],
    ['a config of PEFT', 'adapterhub', () => ({ adapterConfig: { peft_type: 'LORA' } }), 'config: must be an object'],
    [
      'another length',
      'adapterhub',
      (s) => configured(s, { prefix_length: 4 }),
      'prefix_length: 4; the tensors have 3',
    ],
    ['no length', 'adapterhub-flat', (s) => configured(s, { prefix_length: null }), 'prefix_length: needed'],
    [
      'another length of a flat prefix',
      'adapterhub-flat',
      (s) => configured(s, { prefix_length: 7 }),
      'no whole layers',
    ],
    ['a site too many', 'adapterhub', (s) => configured(s, { cross_prefix: false }), 'cross_prefix: false'],
    [
      'a site too few',
      'adapterhub',
      ({ tensors }) => ({ tensors: new Map([...tensors].filter(([name]) => !name.includes('encoder_prefix'))) }),
      'encoder_prefix: true',
    ],
    [
      'copies that differ',
      'adapterhub-flat',
      ({ tensors }) => ({
        tensors: new Map(
          [...tensors].map(([name, t]) => [name, name.startsWith('model.encoder.layers.0') ? floats(t.shape) : t]),
        ),
      }),
      'copies of encoder_prefix.control_trans in the file differ',
    ],
    [
      'two prefixes',
      'adapterhub',
      ({ tensors }) => ({ tensors: new Map([...tensors, [`model.prefix_tunings.q.${weight}`, floats([1, 1])]]) }),
      'is not of p',
    ],
    [
      'a gate in the tensors',
      'adapterhub',
      ({ tensors }) => ({ tensors: new Map([...tensors, ['l.prefix_tuning.prefix_gates.p.bias', floats([1])]]) }),
      'prefix_gates.p.bias" is not of p',
    ],
    [
      'a layer of the MLP that does not fit',
      'adapterhub',
      ({ tensors }) => ({ tensors: replaced(tensors, weight, floats([8, 5])) }),
      `${weight}: [8, 5]; must be [8, 3]`,
    ],
    [
      'a missing tensor',
      'adapterhub',
      ({ tensors }) => ({ tensors: replaced(tensors, 'self_prefix.wte.weight') }),
      'self_prefix.wte.weight is missing',
    ],
    [
      'a decoder of two depths',
      'adapterhub-flat',
      ({ tensors }) => ({ tensors: replaced(tensors, flat, floats([48])) }),
      'self-attention has 2 layers, its cross-attention 1',
    ],
    [
      'values that are not finite',
      'adapterhub-flat',
      ({ tensors }) => ({ tensors: replaced(tensors, flat, floats([24], NaN)) }),
      'decoder: a value is infinite',
    ],
    [
      'a checkpoint for GPT-2',
      'li-liang',
      ({ tensors }) => ({ tensors: new Map([...tensors].filter(([name]) => /^(wte|control_trans)\./.test(name))) }),
      'for GPT-2 is not converted',
    ],
    [
      'an infix',
      'li-liang',
      ({ modelConfig }) => ({ modelConfig: { ...modelConfig, use_infix: true } }),
      'use_infix: true',
    ],
    ['another width', 'li-liang', ({ modelConfig }) => ({ modelConfig: { ...modelConfig, d_model: 8 } }), 'd_model: 8'],
    [
      'another length',
      'li-liang',
      ({ modelConfig }) => ({ modelConfig: { ...modelConfig, preseqlen: 9 } }),
      'preseqlen: 9',
    ],
    [
      'another depth',
      'li-liang',
      ({ modelConfig }) => ({ modelConfig: { ...modelConfig, decoder_layers: 5 } }),
      'decoder_layers: 5; the tensors have 2',
    ],
    [
      'other tensors',
      'li-liang',
      ({ tensors }) => ({ tensors: new Map([...tensors, ['lm_head.weight', floats([1, 1])]]) }),
      '"lm_head.weight" is not one of a prefix',
    ],
    ['a whole model', 'li-liang', () => ({ tensors: new Map([['lm_head.weight', floats([1, 1])]]) }), 'neither'],
    ['nothing', 'li-liang', () => ({ tensors: new Map() }), 'no tensors'],
  ])('%s (%s)', async (_, golden, change, message) => {
    const conversion = converted(golden, change);
    await expect(conversion).rejects.toThrow(ConversionError);
    await expect(conversion).rejects.toThrow(message);
  });
});

describe('the files of another program', () => {
  const scratch = (): Promise<string> => mkdtemp(path.join(tmpdir(), 'preamble-conversion-'));

  it('may be safetensors, and named directly', async () => {
    const directory = await scratch();
    const rows = rowsIn(await readFile(path.join(goldens, 'adapterhub-flat', 'expected.safetensors')));
    const shared = [...rows].map(
      ([name, data]) =>
        [
          `m.prefix_tunings.p.${name.replace('decoder', 'self').replace('.prompt_embeddings', '_prefix.control_trans')}`,
          { shape: [data.length], data },
        ] as const,
    );
    const file = path.join(directory, 'adapter.safetensors');
    await writeFile(file, encodeSafetensors(Object.fromEntries(shared)));
    await copyFile(
      path.join(goldens, 'adapterhub-flat', 'adapter_config.json'),
      path.join(directory, 'adapter_config.json'),
    );
    const { files } = convertPrefix({ ...(await readSourceFiles(file)), base: undefined });
    expect(rowsIn(files.model)).toEqual(rows);
  });

  it('are named in every refusal', async () => {
    const directory = await scratch();
    const refusal = (source: string): Promise<unknown> => readSourceFiles(source).catch((error: unknown) => error);
    expect(await refusal(directory)).toMatchObject({
      message: expect.stringMatching(/^\/.*: has none of pytorch_adapter/),
    });

    await writeFile(path.join(directory, 'pytorch_adapter.bin'), 'x');
    expect(await refusal(directory)).toBeInstanceOf(ConversionError);
    expect(await refusal(directory)).toMatchObject({
      message: expect.stringMatching(/pytorch_adapter\.bin: not a file of torch\.save/),
    });
    await writeFile(path.join(directory, 'adapter.safetensors'), 'x');
    expect(await refusal(directory)).toMatchObject({ message: expect.stringContaining('name the one that is meant') });
    expect(await refusal(path.join(directory, 'adapter.safetensors'))).toMatchObject({
      message: expect.stringMatching(/adapter\.safetensors: a safetensors file has at least 8 bytes/),
    });

    const other = await scratch();
    await copyFile(path.join(goldens, 'li-liang', 'pytorch_model.bin'), path.join(other, 'pytorch_model.bin'));
    await writeFile(path.join(other, 'config.json'), '[]');
    expect(await refusal(other)).toMatchObject({ message: expect.stringMatching(/config\.json: not a JSON object/) });
    expect(await readdir(other)).toHaveLength(2);
  });
});
