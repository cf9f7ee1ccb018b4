import { describe, expect, it } from 'vitest';

import { type AdapterOptions, readAdapter } from '../../src/prefix/adapter.js';
import { PREFIX_ERRORS, PrefixError, type PrefixErrorCode } from '../../src/prefix/errors.js';
import { encodeSafetensors, SAFETENSORS_ERROR_CODES } from '../../src/safetensors/index.js';
import { base, columns, config, type Json, model, rawModel, values } from './fixtures.js';

interface Case {
  readonly code: PrefixErrorCode;
  readonly what: string;
  readonly changes?: Json;
  readonly config?: Uint8Array;
  readonly model?: Uint8Array;
  readonly options?: AdapterOptions;
}

const two = { shape: [1, columns], data: values(columns) };
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const floats = (...numbers: number[]): Float32Array<ArrayBuffer> => values(3 * columns).with(5, numbers[0] ?? 0);

const refused: Case[] = [
  { code: 'adapter_config_too_large', what: 'a config over 1 MiB', config: new Uint8Array((1 << 20) + 1) },
  {
    code: 'adapter_model_too_large',
    what: 'more than a whole context',
    model: new Uint8Array((1 << 20) + 9 + 16 * columns * 4),
  },
  { code: 'adapter_model_pickle', what: 'a zip archive', model: text('PK\x03\x04 archive/data.pkl') },
  {
    code: 'adapter_model_pickle',
    what: 'a bare pickle',
    model: Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9),
  },
  { code: 'adapter_config_not_json', what: 'no JSON', config: text('{') },
  { code: 'adapter_config_not_json', what: 'a list', config: text('[]') },
  { code: 'adapter_config_not_json', what: 'null', config: text('null') },
  { code: 'adapter_config_not_json', what: 'Latin-1', config: Uint8Array.of(0x7b, 0x22, 0xe4, 0x22, 0x3a, 0x31, 0x7d) },
  { code: 'peft_type_unsupported', what: 'no type', changes: { peft_type: undefined } },
  { code: 'peft_type_unsupported', what: 'LORA', changes: { peft_type: 'LORA' } },
  { code: 'peft_type_unsupported', what: 'multitask', changes: { peft_type: 'MULTITASK_PROMPT_TUNING' } },
  { code: 'peft_type_unsupported', what: 'an object', changes: { peft_type: {} } },
  { code: 'task_type_unsupported', what: 'SEQ_2_SEQ_LM', changes: { task_type: 'SEQ_2_SEQ_LM' } },
  { code: 'num_transformer_submodules_unsupported', what: 'two', changes: { num_transformer_submodules: 2 } },
  { code: 'num_layers_mismatch', what: 'another depth', changes: { num_layers: 3 } },
  { code: 'num_layers_mismatch', what: 'a string', changes: { num_layers: '2' } },
  { code: 'num_attention_heads_mismatch', what: 'another count', changes: { num_attention_heads: 4 } },
  { code: 'token_dim_mismatch', what: 'another width', changes: { token_dim: 8 } },
  { code: 'num_virtual_tokens_mismatch', what: 'another length', changes: { num_virtual_tokens: 4 } },
  { code: 'modules_to_save_unsupported', what: 'a list', changes: { modules_to_save: ['lm_head'] } },
  { code: 'placement_invalid', what: 'an unknown place', changes: { placement: 'suffix' } },
  { code: 'placement_conflict', what: 'two places', changes: { placement: 'infix' }, options: { placement: 'prefix' } },
  {
    code: 'placement_unsupported',
    what: 'a soft infix',
    changes: { peft_type: 'P_TUNING' },
    options: { placement: 'infix' },
  },
  { code: 'tensor_missing', what: 'no tensors', model: encodeSafetensors({}) },
  { code: 'tensor_missing', what: 'another name', model: encodeSafetensors({ embeddings: two }) },
  {
    code: 'tensor_unexpected',
    what: 'one more',
    changes: { num_virtual_tokens: null },
    model: encodeSafetensors({ prompt_embeddings: two, x: two }),
  },
  {
    code: 'tensor_not_2d',
    what: 'one dimension',
    changes: { num_virtual_tokens: null },
    model: encodeSafetensors({ prompt_embeddings: { shape: [columns], data: values(columns) } }),
  },
  { code: 'prefix_empty', what: 'no rows', changes: { num_virtual_tokens: 0 }, model: model(0) },
  { code: 'prefix_too_long', what: 'over half of the context', changes: { num_virtual_tokens: 9 }, model: model(9) },
  { code: 'prefix_too_long', what: 'over a configured limit', options: { maxLength: 2 } },
  { code: 'tensor_width_mismatch', what: 'a soft prompt as prefix', model: model(3, base.width) },
  { code: 'tensor_width_mismatch', what: 'a prefix as soft prompt', changes: { peft_type: 'PROMPT_TUNING' } },
  {
    code: 'tensor_dtype_unsupported',
    what: 'float64',
    changes: { num_virtual_tokens: null },
    model: rawModel('F64', [1, columns], new Uint8Array(8 * columns)),
  },
  { code: 'tensor_not_finite', what: 'NaN', model: model(3, columns, floats(NaN)) },
  { code: 'tensor_not_finite', what: 'infinity', model: model(3, columns, floats(-Infinity)) },
  {
    code: 'tensor_not_finite',
    what: 'a half-precision infinity',
    changes: { num_virtual_tokens: null },
    model: rawModel('F16', [1, columns], new Uint8Array(Uint16Array.from({ length: columns }, () => 0x7c00).buffer)),
  },
  {
    code: 'tensor_not_finite',
    what: 'a bfloat16 NaN',
    changes: { num_virtual_tokens: null },
    model: rawModel('BF16', [1, columns], new Uint8Array(Uint16Array.from({ length: columns }, () => 0x7fc0).buffer)),
  },
  { code: 'safetensors_truncated', what: 'an empty file', model: new Uint8Array() },
  { code: 'safetensors_trailing_bytes', what: 'a byte too many', model: Uint8Array.of(...model(), 0) },
  { code: 'safetensors_data_past_end', what: 'a byte too few', model: model().slice(0, -1) },
];

/** Codes that other tests have: names, texts, the store, and those of the parser's own suite. */
const elsewhere: PrefixErrorCode[] = [
  'prefix_name_invalid',
  'prefix_name_reserved',
  'prefix_not_found',
  'prefix_version_ambiguous',
  'prefix_damaged',
  'prefix_kv_not_finite',
  'tenant_invalid',
  'text_empty',
  'text_too_long',
  ...SAFETENSORS_ERROR_CODES.map((code) => `safetensors_${code}` as const),
];

function read(of: Partial<Case>): unknown {
  const files = { config: of.config ?? config(of.changes), model: of.model ?? model() };
  try {
    return readAdapter(files, base, of.options);
  } catch (error) {
    return error;
  }
}

describe('refusals', () => {
  it.each(refused)('$code: $what', (of) => {
    const error = read(of);
    expect(error).toBeInstanceOf(PrefixError);
    expect((error as PrefixError).code).toBe(of.code);
    const [field] = (error as PrefixError).message.split(':');
    expect(field).toBe((error as PrefixError).param);
  });

  it('have a case for every code', () => {
    const tested = new Set([...refused.map(({ code }) => code), ...elsewhere]);
    expect([...tested].sort()).toEqual(Object.keys(PREFIX_ERRORS).sort());
  });

  it('come in the order of the specification', () => {
    const broken: Partial<Case>[] = [
      { model: new Uint8Array(3) },
      { changes: { peft_type: 'LORA' } },
      { changes: { task_type: 'X' } },
      { changes: { num_layers: 1 } },
      { changes: { modules_to_save: [] } },
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
      expect(read(together as Partial<Case>)).toMatchObject({ code: alone.code });
    }
  });

  it('name the conversion of a pickle', () => {
    expect((read({ model: text('PK\x03\x04') }) as PrefixError).message).toContain('safe_serialization=True');
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
    expect(adapter).toHaveProperty('warnings.length', 2);
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
