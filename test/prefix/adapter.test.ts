import { describe, expect, it } from 'vitest';

import { readAdapter } from '../../src/prefix/adapter/read.js';
import { PREFIX_ERRORS, PrefixError, type PrefixErrorCode } from '../../src/prefix/errors.js';
import { encodeSafetensors, SAFETENSORS_ERROR_CODES } from '../../src/safetensors/index.js';
import { base, columns, config, type Json, model, rawModel, values } from './fixtures.js';
import { floats, notOfFiles, type Refusal, refusals, text, two } from './refusals.js';
import { sitesRefusals } from './sites-refusals.js';

/** Codes that other tests have: names, texts, the store, and those of the parser's own suite. */
const elsewhere: PrefixErrorCode[] = [
  ...notOfFiles,
  'prefix_name_invalid',
  'prefix_name_reserved',
  'prefix_kv_not_finite',
  ...SAFETENSORS_ERROR_CODES.map((code) => `safetensors_${code}` as const),
];

function read(of: Partial<Refusal>): unknown {
  const files = { config: of.config ?? config(of.changes), model: of.model ?? model() };
  try {
    return readAdapter(files, base, of.options);
  } catch (error) {
    return error;
  }
}

describe('refusals', () => {
  it.each(refusals)('$code: $what', (of) => {
    const error = read(of);
    expect(error).toBeInstanceOf(PrefixError);
    expect((error as PrefixError).code).toBe(of.code);
    const [field] = (error as PrefixError).message.split(':');
    expect(field).toBe((error as PrefixError).param);
  });

  it('have a case for every code', () => {
    const tested = new Set([...[...refusals, ...sitesRefusals].map(({ code }) => code), ...elsewhere]);
    expect([...tested].sort()).toEqual(Object.keys(PREFIX_ERRORS).sort());
  });

  it('come in the order of the specification', () => {
    const broken: Partial<Refusal>[] = [
      { model: new Uint8Array(3) },
      { changes: { peft_type: 'LORA' } },
      { changes: { task_type: 'X' } },
      { changes: { num_layers: 1 } },
      { changes: { modules_to_save: ['lm_head'] } },
      { model: encodeSafetensors({ other: two }) },
      { model: model(3, 1, values(3)) },
      { model: model(3, columns, floats(NaN)) },
    ];
    for (let first = 0; first < broken.length; first++) {
      // Everything that comes later is broken too; a file can only be broken in one way at a time.
      const later = broken.slice(first);
      const together = {
        changes: Object.assign({}, ...later.map(({ changes }) => changes)) as Json,
        model: later.find((of) => of.model)?.model,
      };
      const alone = read(broken[first] ?? {}) as PrefixError;
      expect(read(together as Partial<Refusal>)).toMatchObject({ code: alone.code });
    }
  });

  it('name the conversion of a pickle, however large', () => {
    const large = new Uint8Array((1 << 20) + 9 + 16 * columns * 4);
    large.set(text('PK\x03\x04'));
    for (const pickle of [text('PK\x03\x04'), large]) {
      const { code, message } = read({ model: pickle }) as PrefixError;
      expect(code).toBe('adapter_model_pickle');
      expect(message).toContain('torch.load("adapter_model.bin", map_location="cpu", weights_only=True)');
    }
  });

  it('say what to do about embeddings that PEFT saved along', () => {
    const embeddings = { prompt_embeddings: two, 'base_model.transformer.wte.weight': two };
    const changes = { num_virtual_tokens: null };
    const { message } = read({ changes, model: encodeSafetensors(embeddings) }) as PrefixError;
    expect(message).toContain('"base_model.transformer.wte.weight" is not prompt_embeddings, the only one accepted; ');
    expect(message).toContain('save_pretrained(DIR, save_embedding_layers=False)');
    const large = new Uint8Array((1 << 20) + 9 + 16 * columns * 4);
    expect((read({ model: large }) as PrefixError).message).toContain('save_embedding_layers=False');
    const other = read({ changes, model: encodeSafetensors({ prompt_embeddings: two, x: two }) }) as PrefixError;
    expect(other.message).not.toContain('save_embedding_layers');
  });

  it('name what a file has instead of the tensor', () => {
    const { message } = read({ model: encodeSafetensors({ 'prefix_encoder.embedding.weight': two }) }) as PrefixError;
    expect(message).toBe(
      'adapter_model: the tensor prompt_embeddings is missing; the file has "prefix_encoder.embedding.weight"',
    );
  });
});

describe('acceptance', () => {
  it.each([
    ['PREFIX_TUNING', 'prefix', columns],
    ['CARTRIDGE', 'prefix', columns],
    ['PROMPT_TUNING', 'soft_prompt', base.width],
    ['P_TUNING', 'soft_prompt', base.width],
    ['CPT', 'soft_prompt', base.width],
  ])('%s is a %s', (peftType, kind, width) => {
    const rows = values(3 * width);
    expect(read({ changes: { peft_type: peftType }, model: model(3, width, rows) })).toEqual({
      kind,
      placement: 'prefix',
      length: 3,
      rows,
      warnings: [],
    });
  });

  it('needs only the type, and tolerates unknown keys', () => {
    const bare = text('{"peft_type":"PREFIX_TUNING","__proto__":{"num_layers":9},"later":[1]}');
    const adapter = read({ config: bare });
    expect(adapter).toMatchObject({ kind: 'prefix', length: 3 });
    expect(adapter).toHaveProperty('warnings.length', 3);
  });

  it('takes an empty list of modules for none, as PEFT does', () => {
    expect(read({ changes: { modules_to_save: [] } })).toMatchObject({ length: 3, warnings: [] });
  });

  it('takes fields that other versions of PEFT write', () => {
    const changes = {
      auto_mapping: { base_model_class: 'GPT2LMHeadModel', parent_library: 'transformers' },
      peft_version: '0.21.2',
      revision: 'main',
      encoder_hidden_size: 8,
      prefix_projection: true,
      inference_mode: false,
      layers_to_transform: null,
    };
    expect(read({ changes })).toMatchObject({ length: 3, warnings: [] });
  });

  it('takes half of the context, and as much as is configured', () => {
    expect(read({ changes: { num_virtual_tokens: 8 }, model: model(8) })).toMatchObject({ length: 8 });
    const most = read({ changes: { num_virtual_tokens: 12 }, model: model(12), options: { maxLength: 12 } });
    expect(most).toMatchObject({ length: 12 });
  });

  it.each([
    [undefined, undefined, 'prefix'],
    [undefined, 'infix', 'infix'],
    ['infix', undefined, 'infix'],
    ['infix', 'infix', 'infix'],
    ['prefix', 'prefix', 'prefix'],
  ] as const)('config %s, caller %s: %s', (noted, placement, expected) => {
    expect(read({ changes: { placement: noted }, options: { placement } })).toMatchObject({ placement: expected });
  });

  it('decodes half precision', () => {
    const halves = new Uint8Array(Uint16Array.from({ length: columns }, (_, i) => 0x3c00 + i).buffer);
    const adapter = read({ changes: { num_virtual_tokens: 1 }, model: rawModel('F16', [1, columns], halves) });
    expect(adapter).toMatchObject({ rows: Float32Array.from({ length: columns }, (_, i) => 1 + i / 1024) });
  });

  it('takes a header of the length that a pickle starts with for a header', () => {
    const plain = model();
    const headerLength = new DataView(plain.buffer).getUint32(0, true);
    const long = Buffer.concat([
      Buffer.alloc(8),
      plain.subarray(8, 8 + headerLength),
      Buffer.alloc(0x280 - headerLength, ' '),
      plain.subarray(8 + headerLength),
    ]);
    long.writeBigUInt64LE(0x280n);
    expect(read({ model: long })).toMatchObject({ length: 3 });
  });
});

describe('warnings', () => {
  it.each([
    ['another base model', { changes: { base_model_name_or_path: 'openai-community/gpt2' } }, /gpt2/],
    ['no base model', { changes: { base_model_name_or_path: null } }, /base_model_name_or_path/],
    ['an unknown head count', { changes: { num_attention_heads: null } }, /num_attention_heads/],
    [
      'a task that PEFT does nothing for',
      { changes: { task_type: null } },
      /task_type is missing.*task_type="CAUSAL_LM"/,
    ],
    ['rows of zeros', { model: model(3, columns, values(3 * columns).fill(0, columns)) }, /^2 of 3/],
    ['huge values', { model: model(3, columns, floats(-1e9)) }, /1\.00e\+9/],
  ])('%s', (_, of, warning) => {
    expect(read(of)).toMatchObject({ warnings: [expect.stringMatching(warning)] });
  });

  it.each(['tiny', '/models/tiny', 'someone/tiny/', 'C:\\models\\tiny'])('none for the base model %s', (path) => {
    expect(read({ changes: { base_model_name_or_path: path } })).toMatchObject({ warnings: [] });
  });

  it('about the base model are silenced by force', () => {
    const changes = { base_model_name_or_path: 'other' };
    expect(read({ changes, options: { force: true } })).toMatchObject({ warnings: [] });
  });
});
