import { describe, expect, it } from 'vitest';

import type { BaseModel } from '../../src/prefix/kv.js';
import { toJobRequest } from '../../src/server/fine-tuning/params.js';
import type { NewJob } from '../../src/server/fine-tuning/schema.js';
import { base as gpt2 } from './harness.js';

const site = (name: string) => ({ name, layers: 2, kvHeads: 2, headDim: 8 });
const bart: BaseModel = { ...gpt2, sites: ['encoder', 'decoder', 'cross'].map(site), sourceLength: 64 };

type PrefixTuning = NonNullable<NewJob['prefix_tuning']>;

function settingsOf(base: BaseModel, prefix_tuning: PrefixTuning) {
  const deps = { base, tokenizer: { encode: () => [1] }, library: { maxLength: 32 } };
  return toJobRequest({ model: base.id, training_file: 'file-0', prefix_tuning }, deps, undefined).settings;
}

describe('sites of a job', () => {
  it('are those of an encoder-decoder, all unless given', () => {
    expect(settingsOf(bart, {})).toMatchObject({ sites: null, lossMean: 'sentences' });
    expect(settingsOf(bart, { sites: ['cross'], loss_mean: 'tokens' })).toMatchObject({
      sites: ['cross'],
      lossMean: 'tokens',
    });
    expect(settingsOf(gpt2, { loss_mean: 'tokens' })).toMatchObject({ sites: null, lossMean: 'tokens' });
  });

  it.each<[BaseModel, PrefixTuning, string, string]>([
    [gpt2, { sites: ['cross'] }, 'prefix_tuning.sites', 'the model has no encoder'],
    [bart, { method: 'infix' }, 'prefix_tuning.method', 'the model is an encoder-decoder, which takes prefix only'],
    [bart, { method: 'embedding' }, 'prefix_tuning.method', 'the model is an encoder-decoder'],
  ])('are refused by name', (base, body, param, message) => {
    const refused = expect.objectContaining({ param, message: expect.stringContaining(message) as string });
    expect(() => settingsOf(base, body)).toThrow(refused);
  });
});
