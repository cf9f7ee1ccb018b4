import { describe, expect, it } from 'vitest';

import { readParams } from '../../src/completions/request/params.js';
import type { CompletionRequest } from '../../src/completions/request/schema.js';
import { refusal } from './refusal.js';

const minimal: CompletionRequest = { model: 'm', prompt: 'p' };
const read = (fields: Partial<CompletionRequest>, maxChoices = 128) =>
  readParams({ ...minimal, ...fields }, { base: 'base', vocabularySize: 256, maxChoices });

describe('readParams', () => {
  it('fills in the defaults', () => {
    expect(read({})).toStrictEqual({
      model: 'm',
      blend: undefined,
      user: undefined,
      prompts: ['p'],
      n: 1,
      bestOf: 1,
      beams: undefined,
      echo: false,
      maxTokens: 16,
      minTokens: 0,
      forcedFirstToken: undefined,
      forcedLastToken: undefined,
      noRepeatNgramSize: 0,
      sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, seed: undefined },
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
      includesStop: false,
      skipsSpecialTokens: undefined,
      badWords: [],
      promptLogprobs: undefined,
      tokenization: { addsSpecialTokens: undefined, truncation: undefined },
      continuousUsage: false,
      logprobs: undefined,
      returnTokenIds: false,
      stream: false,
      includeUsage: false,
    });
  });

  it('takes zero as a value', () => {
    const zeros = { max_tokens: 0, temperature: 0, top_p: 0, top_k: 0, seed: 0, logprobs: 0 };
    expect(read({ ...zeros })).toMatchObject({
      maxTokens: 0,
      sampling: { temperature: 0, topP: 0, topK: 0, seed: 0 },
      logprobs: 0,
    });
  });

  it('takes a temperature that no logit can be divided by as greedy', () => {
    for (const temperature of [5e-324, 1e-10, 9.9e-6]) {
      expect(read({ temperature }).sampling.temperature).toBe(0);
    }
    expect(read({ temperature: 1e-5 }).sampling.temperature).toBe(1e-5);
  });

  it('takes null as not given', () => {
    const nulls = {
      max_tokens: null,
      temperature: null,
      n: null,
      stop: null,
      seed: null,
      logprobs: null,
      stream: null,
    };
    expect(read({ ...nulls, stream_options: null })).toEqual(read({}));
  });

  it('takes -1 of top_k as off, and one stop string as a list', () => {
    expect(read({ top_k: -1, stop: '\n' })).toMatchObject({ sampling: { topK: 0 }, stop: ['\n'] });
  });

  it.each([
    ['echo', false],
    ['suffix', null],
    ['best_of', 1],
    ['presence_penalty', 0],
    ['frequency_penalty', 0],
    ['repetition_penalty', 1],
    ['logit_bias', {}],
    ['min_p', 0],
  ])('takes the neutral %s as not given', (field, neutral) => {
    expect(read({ [field]: neutral })).toEqual(read({}));
    expect(read({ [field]: null })).toEqual(read({}));
  });

  it('generates n choices unless best_of says more', () => {
    expect(read({ n: 3 })).toMatchObject({ n: 3, bestOf: 3 });
    expect(read({ n: 3, best_of: 3, stream: true })).toMatchObject({ n: 3, bestOf: 3 });
    expect(read({ best_of: 4 })).toMatchObject({ n: 1, bestOf: 4 });
  });

  it('takes all four forms of a prompt', () => {
    expect(read({ prompt: 'ab' }).prompts).toEqual(['ab']);
    expect(read({ prompt: ['a', 'b'] }).prompts).toEqual(['a', 'b']);
    expect(read({ prompt: [97, 98] }).prompts).toEqual([[97, 98]]);
    expect(read({ prompt: [[97], [98, 99]] }).prompts).toEqual([[97], [98, 99]]);
  });

  it('refuses prompts with ids that are not in the vocabulary', () => {
    expect(read({ prompt: [0, 255] }).prompts).toEqual([[0, 255]]);
    for (const prompt of [
      [0, 256],
      [[1], [256]],
    ] as CompletionRequest['prompt'][]) {
      expect(refusal(() => read({ prompt }))).toMatchObject({
        code: 'invalid_value',
        param: 'prompt',
        message: expect.stringContaining('0 to 255') as string,
      });
    }
  });

  it('refuses stop tokens that are not in the vocabulary', () => {
    expect(read({ stop_token_ids: [0, 255] }).stopTokenIds).toEqual([0, 255]);
    expect(refusal(() => read({ stop_token_ids: [0, 256] }))).toMatchObject({
      code: 'invalid_value',
      param: 'stop_token_ids',
      message: expect.stringContaining('0 to 255') as string,
    });
  });

  it('takes best_of, or n, as the width of a beam search', () => {
    const search = { use_beam_search: true };
    expect(read(search)).toMatchObject({ n: 1, bestOf: 1, beams: { lengthPenalty: 1, earlyStopping: false } });
    expect(read({ ...search, n: 3 })).toMatchObject({ n: 3, bestOf: 3 });
    expect(read({ ...search, n: 2, best_of: 5, length_penalty: 0 })).toMatchObject({
      n: 2,
      bestOf: 5,
      beams: { lengthPenalty: 0 },
    });
    const nulls = { length_penalty: null, early_stopping: null };
    expect(read({ ...search, ...nulls }).beams).toEqual({ lengthPenalty: 1, earlyStopping: false });
    for (const early_stopping of [true, false, 'never'] as const)
      expect(read({ ...search, early_stopping }).beams?.earlyStopping).toBe(early_stopping);
    for (const length_penalty of [null, 1]) expect(read({ length_penalty }).beams).toBeUndefined();
  });

  it('changes no logits unless a field asks for it', () => {
    const neutral = { presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1, logit_bias: {}, min_p: 0 };
    expect(read(neutral).sampling).not.toHaveProperty('adjustments');
  });

  it.each([
    [{ presence_penalty: -2 }, { presencePenalty: -2 }],
    [{ frequency_penalty: 0.5 }, { frequencyPenalty: 0.5 }],
    [{ repetition_penalty: 1.5 }, { repetitionPenalty: 1.5 }],
    [{ logit_bias: { '0': 0, '255': -100 } }, { bias: new Map([[0, 0], [255, -100]]) }], // prettier-ignore
  ])('hands on %j', (fields, changed) => {
    const neutral = { bias: new Map(), repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 };
    expect(read(fields).sampling.adjustments).toEqual({ ...neutral, ...changed });
  });

  it.each(['256', '-1', '01', '1.0', '1e2', '', ' 1', 'a', '0x1'])('refuses %j as a key of logit_bias', (key) => {
    const error = refusal(() => read({ logit_bias: { [key]: 1 } }));
    expect(error).toMatchObject({ code: 'invalid_value', param: 'logit_bias' });
    expect(error.message).toContain('0 to 255');
  });
});

describe('what is generated', () => {
  const generation = {
    ...{ decoderStart: [2], forcedBosTokenId: 0, forcedEosTokenId: 2 },
    ...{ noRepeatNgramSize: 3, minTokens: 55, maxTokens: 141 },
  };
  const own = { forcedFirstToken: 0, forcedLastToken: 2, noRepeatNgramSize: 3, minTokens: 55, maxTokens: 141 };
  const off = { forcedFirstToken: undefined, forcedLastToken: undefined, noRepeatNgramSize: 0, minTokens: 0 };
  const readFor = (fields: Partial<CompletionRequest>, config = generation) =>
    readParams({ ...minimal, ...fields }, { base: 'base', vocabularySize: 256, maxChoices: 128, generation: config });
  const nulls = { forced_bos_token_id: null, forced_eos_token_id: null, no_repeat_ngram_size: null, min_tokens: null };

  it('is what the checkpoint says where the request says nothing', () => {
    expect(readFor({})).toMatchObject(own);
    expect(readFor({ max_tokens: null })).toMatchObject(own);
    expect(readFor({ use_beam_search: true, best_of: 4 })).toMatchObject(own);
    expect(readFor({}).beams).toBeUndefined();
    expect(readFor({}, { ...generation, maxTokens: undefined as never, minTokens: 0 }).maxTokens).toBe(16);
  });

  it('is what the request says', () => {
    const asked = { forced_bos_token_id: 7, forced_eos_token_id: 0, no_repeat_ngram_size: 1, min_tokens: 2 };
    const wanted = { forcedFirstToken: 7, forcedLastToken: 0, noRepeatNgramSize: 1, minTokens: 2, maxTokens: 9 };
    expect(readFor({ ...asked, max_tokens: 9 })).toMatchObject(wanted);
    expect(readFor(nulls)).toMatchObject({ ...off, maxTokens: 141 });
    expect(readFor({ no_repeat_ngram_size: 0, min_tokens: 0 })).toMatchObject({ noRepeatNgramSize: 0, minTokens: 0 });
  });

  it('may be shorter than the checkpoint wants it, but not than the request does', () => {
    for (const maxTokens of [0, 20])
      expect(readFor({ max_tokens: maxTokens })).toMatchObject({ maxTokens, minTokens: maxTokens });
    const refused = refusal(() => readFor({ min_tokens: 142 }));
    expect(refused).toMatchObject({ param: 'min_tokens', message: expect.stringContaining('141') as string });
    expect(refusal(() => read({ min_tokens: 17 })).param).toBe('min_tokens');
  });

  it.each(['forced_bos_token_id', 'forced_eos_token_id'])(
    'refuses %s that is no token, or for a decoder-only model',
    (field) => {
      const unknown = refusal(() => readFor({ [field]: 256 }));
      expect(unknown).toMatchObject({ code: 'invalid_value', param: field });
      expect(unknown.message).toContain('0 to 255');
      expect(refusal(() => read({ [field]: 0 }))).toMatchObject({ code: 'unsupported_parameter', param: field });
    },
  );

  it('may be kept from repeating itself by a decoder-only model, which has no defaults', () => {
    expect(read({ ...nulls, no_repeat_ngram_size: 2 })).toMatchObject({ ...off, noRepeatNgramSize: 2, maxTokens: 16 });
  });

  it('does not go on from a source, which echo would pretend', () => {
    expect(refusal(() => readFor({ echo: true }))).toMatchObject({ code: 'unsupported_parameter', param: 'echo' });
    expect(readFor({ echo: false }).echo).toBe(false);
  });
});

describe('the limit of choices', () => {
  it('names the field that has too many', () => {
    const refuse = (fields: Partial<CompletionRequest>, prompts: number) =>
      refusal(() => read({ ...fields, prompt: Array<string>(prompts).fill('p') }, 4));
    expect(refuse({ n: 3 }, 2)).toMatchObject({ code: 'invalid_value', param: 'n' });
    expect(refuse({ best_of: 3 }, 2)).toMatchObject({ param: 'best_of' });
    expect(refuse({ n: 1 }, 5)).toMatchObject({ param: 'prompt' });
    expect(() => read({ n: 2, prompt: ['p', 'p'] }, 4)).not.toThrow();
  });
});
