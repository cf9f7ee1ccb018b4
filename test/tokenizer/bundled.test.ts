import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

interface Files {
  readonly json: {
    readonly model: { readonly merges: readonly unknown[] };
    readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly lstrip: boolean }[];
  };
  readonly config: Readonly<Record<string, unknown>>;
}

const read = (model: string): Files => {
  const file = (name: string): unknown =>
    JSON.parse(readFileSync(new URL(`../../models/${model}/${name}`, import.meta.url), 'utf8'));
  return { json: file('tokenizer.json') as Files['json'], config: file('tokenizer_config.json') as Files['config'] };
};

it.each(['preamble-demo', 'preamble-brief'])('%s has a tokenizer that Transformers 4 opens', (model) => {
  const { json, config } = read(model);
  expect(json.model.merges.every((merge) => typeof merge === 'string')).toBe(true); // pairs need tokenizers 0.20
  expect(config['tokenizer_class']).toBe('PreTrainedTokenizerFast'); // Transformers 5 writes a class that 4 does not have
  expect(config['model_input_names']).toEqual(['input_ids', 'attention_mask']);
  const mask = json.added_tokens.find(({ lstrip }) => lstrip);
  if (mask) expect(config['mask_token']).toMatchObject({ content: mask.content, lstrip: true }); // 4.30 reads flags from here alone
});
