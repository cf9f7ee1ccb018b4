import { describe, expect, it } from 'vitest';

import { readAdapter } from '../../src/prefix/adapter/read.js';
import { readSitesAdapter, type SitesAdapter } from '../../src/prefix/adapter/read-sites.js';
import { decodeKv, encodeStoredKv, sitesAdapter } from '../../src/prefix/adapter/kv-file.js';
import { PrefixError } from '../../src/prefix/errors.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { base as decoderOnly, prefixFiles, values } from './fixtures.js';
import {
  peftColumns,
  peftFiles,
  peftPromptFiles,
  seq2seq,
  sitesConfig,
  sitesFiles,
  siteTensors,
  wide,
} from './sites-fixtures.js';
import { type SitesRefusal, sitesRefusals } from './sites-refusals.js';

function refusalOf({ files, options, decoder }: SitesRefusal): unknown {
  const sites = seq2seq.sites.map((site) => (site.name === 'encoder' ? site : { ...site, ...decoder }));
  try {
    return readSitesAdapter(files, { ...seq2seq, sites }, options);
  } catch (error) {
    return error;
  }
}

describe('refusals of adapters for an encoder-decoder', () => {
  it.each(sitesRefusals)('$code: $what', (refusal) => {
    const error = refusalOf(refusal) as PrefixError;
    expect(error).toBeInstanceOf(PrefixError);
    expect(error.code).toBe(refusal.code);
    expect(error.message.split(':')[0]).toBe(error.param);
    expect(error.message).toContain(refusal.message ?? '');
  });

  it('name both families, whichever has the adapter of the other', () => {
    expect(() => readSitesAdapter(prefixFiles(), seq2seq)).toThrow(
      expect.objectContaining({ code: 'task_type_unsupported', message: expect.stringContaining('encoder-decoder') }),
    );
    expect(() => readAdapter(sitesFiles({ decoder: 2 }), decoderOnly)).toThrow(
      expect.objectContaining({ code: 'task_type_unsupported', message: expect.stringContaining('decoder-only') }),
    );
    expect(() => readAdapter(sitesFiles({ decoder: 2 }, { task_type: null }), decoderOnly)).toThrow(
      expect.objectContaining({ code: 'sites_unsupported' }),
    );
  });
});

describe('an adapter of sites', () => {
  const all = { encoder: 2, decoder: 3, cross: 8 };

  it.each([all, { encoder: 2 }, { decoder: 3 }, { cross: 1 }, { encoder: 1, cross: 1 }])(
    'is read with its rows at each: %o',
    (lengths) => {
      const read = readSitesAdapter(sitesFiles(lengths), seq2seq);
      const rows = Object.entries(lengths).map(
        ([site, length], i) => [site, values(length * wide[site as keyof typeof wide], i)] as const,
      );
      const { decoder = 0 }: { decoder?: number } = lengths;
      expect(read).toEqual({
        kind: 'prefix',
        placement: 'prefix',
        length: Math.max(...Object.values(lengths)),
        kv: { length: decoder, shift: 0, rows: new Map(rows) },
        warnings: [],
      });
    },
  );

  it('may name its sites in any order, and numbers that all of them have', () => {
    const changes = { sites: ['cross', 'decoder'], num_layers: 3, num_attention_heads: 2, num_virtual_tokens: 2 };
    expect(readSitesAdapter(sitesFiles({ decoder: 2, cross: 2 }, changes), seq2seq)).toMatchObject({ length: 2 });
  });

  it('that is written is read again, at the same sites', () => {
    for (const lengths of [all, { decoder: 3, cross: 3 }]) {
      const { kv } = readSitesAdapter(sitesFiles(lengths), seq2seq);
      const again = readSitesAdapter(sitesAdapter(kv, seq2seq), seq2seq);
      expect(again).toMatchObject({ kv, warnings: [] });
    }
  });

  it('is not made of what it cannot hold', () => {
    for (const files of [peftFiles(), peftPromptFiles()]) {
      const { kv } = readSitesAdapter(files, seq2seq);
      expect(() => sitesAdapter(kv, seq2seq)).toThrow(RangeError);
    }
  });

  it('warns of each site by its name', () => {
    const tensors = siteTensors({ encoder: 2, cross: 2 });
    tensors['cross.prompt_embeddings']?.data.fill(0, 24);
    const files = { config: sitesConfig(['encoder', 'cross']), model: encodeSafetensors(tensors) };
    const { warnings } = readSitesAdapter(files, seq2seq);
    expect(warnings).toEqual(['cross: 1 of 2 virtual tokens are all zeros']);
  });
});

describe("PEFT's own adapters", () => {
  it('of a prefix give decoder layer l the pair 2l of the file, modulo its layers, and count their positions', () => {
    const { kv, warnings, length } = readSitesAdapter(peftFiles(), seq2seq);
    expect(length).toBe(3);
    expect(kv).toMatchObject({ length: 3, shift: 3 });
    expect([...kv.rows.keys()]).toEqual(['decoder']);
    const [file, rows] = [values(3 * peftColumns), kv.rows.get('decoder')];
    for (let token = 0; token < 3; token++) {
      for (const [layer, pair] of [0, 2, 0].entries()) {
        const [to, from] = [token * 24 + layer * 8, token * peftColumns + pair * 8];
        expect(rows?.subarray(to, to + 8)).toEqual(file.subarray(from, from + 8));
      }
    }
    expect(warnings).toEqual([
      expect.stringMatching(/decoder use the file's layers 0, 2, 0, and its layers 1, 3 are not used/),
    ]);
  });

  it.each(['PROMPT_TUNING', 'P_TUNING'])('of %s give embeddings before the source', (peft_type) => {
    const read: SitesAdapter = readSitesAdapter(peftPromptFiles({ peft_type }), seq2seq);
    expect(read).toMatchObject({
      kind: 'soft_prompt',
      length: 3,
      warnings: [expect.stringMatching(/rows 3 to 5 are not/)],
    });
    expect(read.kv).toEqual({ length: 0, shift: 0, rows: new Map(), sourceEmbeddings: values(12) });
  });
});

describe('a stored file', () => {
  it.each([
    ['of sites', sitesFiles({ encoder: 2, cross: 5 })],
    ["of PEFT's prefix", peftFiles()],
  ])('%s serves what was read at upload', (_, files) => {
    expect(decodeKv(files.model, seq2seq)).toEqual(readSitesAdapter(files, seq2seq).kv);
  });

  it('of embeddings serves what was read at upload', () => {
    const { kv } = readSitesAdapter(peftPromptFiles(), seq2seq);
    expect(decodeKv(encodeStoredKv(kv, seq2seq), seq2seq)).toEqual(kv);
  });

  it('of another model, or damaged, is not served', () => {
    const other = encodeSafetensors({ ...siteTensors({ encoder: 1 }), x: { shape: [1], data: values(1) } });
    const isNaN = encodeSafetensors({ 'cross.prompt_embeddings': { shape: [1, 24], data: values(24).with(0, NaN) } });
    for (const file of [prefixFiles().model, peftPromptFiles().model, other, isNaN, new Uint8Array(9)]) {
      expect(() => decodeKv(file, seq2seq)).toThrow(expect.objectContaining({ code: 'prefix_damaged' }));
    }
    expect(() => decodeKv(sitesFiles({ decoder: 1 }).model, decoderOnly)).toThrow('not of this model');
  });
});
