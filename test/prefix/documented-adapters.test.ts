import { checkAdapter } from '../../src/prefix/adapter/check.js';
import type { AdapterFiles } from '../../src/prefix/adapter/format.js';
import type { BaseModel, PrefixEncoder } from '../../src/prefix/kv.js';
import { encodeSafetensors } from '../../src/safetensors/index.js';
import { type SeenOutcome, testDocumentedRows } from '../support/documented-rows.js';
import { base, columns, config, type Json, model, rawModel, values } from './fixtures.js';
import { peftFiles, seq2seq } from './sites-fixtures.js';

/** An upload to the decoder-only model of the fixtures, unless another is given. */
interface Upload {
  readonly files: AdapterFiles;
  readonly to?: BaseModel;
}

const prefix = (changes: Json, tensors = model()): Upload => ({ files: { config: config(changes), model: tensors } });
const softPrompt = (peft_type: string): Upload => prefix({ peft_type }, model(3, base.width));
const ofType = (dtype: string): Upload =>
  prefix({ num_virtual_tokens: 1 }, rawModel(dtype, [1, columns], new Uint8Array(2 * columns).fill(0x3c)) as never);
const ofTensors = (...names: string[]): Upload => {
  const tensor = { shape: [3, columns], data: values(3 * columns) };
  return prefix({}, encodeSafetensors(Object.fromEntries(names.map((name) => [name, tensor]))));
};
const text = (content: string): Uint8Array => new TextEncoder().encode(content);

/** As PEFT 0.3.0 wrote it, without the fields that came later. */
const OLD = {
  ...{
    base_model_name_or_path: 'tiny',
    encoder_hidden_size: 4,
    inference_mode: true,
    num_attention_heads: 2,
    num_layers: 2,
  },
  ...{ num_transformer_submodules: 1, num_virtual_tokens: 3, peft_type: 'PREFIX_TUNING', prefix_projection: false },
  ...{ task_type: 'CAUSAL_LM', token_dim: 4 },
};

function withNullMetadata(): Uint8Array {
  const tensor = `{"dtype":"F32","shape":[3,${columns}],"data_offsets":[0,${3 * columns * 4}]}`;
  const header = text(`{"__metadata__":null,"prompt_embeddings":${tensor}}`);
  const length = new BigUint64Array([BigInt(header.length)]);
  return Buffer.concat([new Uint8Array(length.buffer), header, new Uint8Array(values(3 * columns).buffer)]);
}

const CASES: Readonly<Record<string, Upload>> = {
  '`PREFIX_TUNING`': prefix({}),
  '`CARTRIDGE`': prefix({ peft_type: 'CARTRIDGE' }),
  '`PROMPT_TUNING`': softPrompt('PROMPT_TUNING'),
  '`P_TUNING`': softPrompt('P_TUNING'),
  '`CPT`': softPrompt('CPT'),
  '`MULTITASK_PROMPT_TUNING`': softPrompt('MULTITASK_PROMPT_TUNING'),
  '`LORA`': prefix({ peft_type: 'LORA' }),
  F16: ofType('F16'),
  BF16: ofType('BF16'),
  'the config of PEFT 0.3': { files: { config: text(JSON.stringify(OLD)), model: model() } },
  'the config of PEFT 0.21': prefix({ auto_mapping: null, init_weights: null, peft_version: '0.21.2', revision: null }),
  '`"task_type": null`': prefix({ task_type: null }),
  '`"modules_to_save": []`': prefix({ modules_to_save: [] }),
  '`"modules_to_save": ["lm_head"]`': prefix({ modules_to_save: ['lm_head'] }),
  '`"__metadata__": null` in the safetensors file': { files: { config: config(), model: withNullMetadata() } },
  'another `base_model_name_or_path`': prefix({ base_model_name_or_path: 'another' }),
  '`adapter_model.bin`': { files: { config: config(), model: text('PK\x03\x04') } },
  'embeddings of a resized vocabulary, which newer PEFT saves along': ofTensors(
    'base_model.transformer.wte.weight',
    'prompt_embeddings',
  ),
  '`prefix_encoder.embedding.weight`, as the code of P-tuning v2 has it': ofTensors('prefix_encoder.embedding.weight'),
  "PEFT's prefix for an encoder-decoder": { files: peftFiles(), to: seq2seq },
};

/** Embeddings that were run through the model. */
const encoder: PrefixEncoder = {
  encodeEmbeddings: () => Promise.reject(new Error('ran the encoder')),
  encodeTokens: () => Promise.reject(new Error('ran the encoder')),
};

testDocumentedRows('Adapters', CASES, async ({ files, to = base }): Promise<SeenOutcome> => {
  try {
    const { warnings, toKv } = checkAdapter(files, to, {});
    const kv = await toKv(encoder).catch(() => undefined);
    // The bytes of the file as they are, or others.
    const stored = Buffer.from(files.model);
    const isServed = [...(kv?.rows.values() ?? [])].every((rows) => stored.includes(Buffer.from(rows.buffer)));
    return { outcome: kv !== undefined && isServed ? 'taken' : 'converted', messages: warnings };
  } catch (error) {
    return { outcome: 'refused', messages: [(error as Error).message] };
  }
});
