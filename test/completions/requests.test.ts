import { describe, expect, it } from 'vitest';

import { toBeamRequests, toGenerationRequests } from '../../src/completions/plan/requests.js';
import { readParams } from '../../src/completions/request/params.js';
import type { CompletionRequest } from '../../src/completions/request/schema.js';

const scope = { tenant: 't', prefix: undefined };
const read = (fields: Partial<CompletionRequest>) =>
  readParams({ model: 'm', prompt: 'p', ...fields }, { base: 'm', vocabularySize: 256, maxChoices: 128 });

describe('toGenerationRequests', () => {
  it('makes n choices of each prompt, in order', () => {
    const params = read({ n: 2, max_tokens: 1, seed: 7 });
    const requests = toGenerationRequests(params, [[1], [2]], scope);
    expect(requests.map(({ prompt, choice }) => [prompt[0], choice])).toEqual([
      [1, 0],
      [1, 1],
      [2, 0],
      [2, 1],
    ]);
    expect(requests[0]).toMatchObject({ tenant: 't', maxTokens: 1, sampling: { seed: 7, temperature: 1 } });
  });

  it('makes a group of equal prompts, of this request alone', () => {
    const make = () => toGenerationRequests(read({ n: 1, max_tokens: 1 }), [[1, 12], [11, 2], [1, 12]], scope); // prettier-ignore
    const [first, second, third] = make().map(({ promptGroup }) => promptGroup);
    expect(typeof first).toBe('symbol');
    expect(third).toBe(first);
    expect(second).toBeUndefined(); // nobody to share with
    expect(make()[0]?.promptGroup).not.toBe(first);
    const two = toGenerationRequests(read({ n: 2, max_tokens: 1 }), [[1]], scope);
    expect(two[1]?.promptGroup).toBe(two[0]?.promptGroup);
  });

  const one = (fields: Partial<CompletionRequest>) =>
    toGenerationRequests(read({ max_tokens: 1, ...fields }), [[1]], scope)[0];

  it('makes best_of choices of each prompt, each from its own stream, and has them scored', () => {
    const params = read({ n: 1, best_of: 2, max_tokens: 1 });
    const requests = toGenerationRequests(params, [[1], [2]], scope);
    expect(requests.map(({ prompt, choice, logprobs }) => [prompt[0], choice, logprobs])).toEqual([
      [1, 0, 0],
      [1, 1, 0],
      [2, 0, 0],
      [2, 1, 0],
    ]);
  });

  it('makes sources of the prompts where a decoder starts with tokens of its own', () => {
    const decoder = { ...scope, decoderStart: [2] };
    const params = { ...read({ n: 2, max_tokens: 3, min_tokens: 1 }), forcedFirstToken: 0, forcedLastToken: 5 };
    const requests = toGenerationRequests(params, [[1, 9], [7]], decoder);
    expect(requests.map(({ source, prompt }) => [source, prompt])).toEqual([
      [[1, 9], [2]],
      [[1, 9], [2]],
      [[7], [2]],
      [[7], [2]],
    ]);
    expect(requests[0]).toMatchObject({ forcedFirstToken: 0, forcedLastToken: 5, minTokens: 1, maxTokens: 3 });
    expect(requests[0]).not.toHaveProperty('decoderStart');
    expect(requests[1]?.promptGroup).toBe(requests[0]?.promptGroup);
    expect(requests[2]?.promptGroup).not.toBe(requests[0]?.promptGroup);
    const [search] = toBeamRequests(params, { lengthPenalty: 1, earlyStopping: true }, [[1, 9]], decoder);
    expect(search).toMatchObject({ source: [1, 9], prompt: [2], earlyStopping: true, forcedFirstToken: 0 });
    expect(toGenerationRequests(read({}), [[1]], scope)[0]).not.toHaveProperty('source');
  });

  it('has the prompt scored for echo with log-probabilities alone', () => {
    expect(one({ echo: true, logprobs: 0 })).toMatchObject({ logprobs: 0, promptLogprobs: 0 });
    expect(one({ echo: true })?.promptLogprobs).toBeUndefined();
    expect(one({ logprobs: 3 })?.promptLogprobs).toBeUndefined();
  });
});

describe('toBeamRequests', () => {
  it('makes one search of each prompt; equal prompts are a group', () => {
    const params = read({
      use_beam_search: true,
      max_tokens: 6,
      n: 2,
      best_of: 4,
      echo: true,
      logprobs: 2,
      stop_token_ids: [9],
      length_penalty: 2,
      early_stopping: 'never',
      min_tokens: 3,
      no_repeat_ngram_size: 2,
    });
    const [first, second, third] = toBeamRequests(params, params.beams!, [[1], [2], [1]], scope);
    expect(first).toEqual({
      tenant: 't',
      prompt: [1],
      prefix: undefined,
      promptGroup: expect.any(Symbol) as symbol,
      width: 4,
      lengthPenalty: 2,
      earlyStopping: 'never',
      maxTokens: 6,
      minTokens: 3,
      noRepeatNgramSize: 2,
      stopTokenIds: [9],
      ignoreEos: false,
      includesStop: false,
      logprobs: 2,
      promptLogprobs: 2,
    });
    expect(third?.promptGroup).toBe(first?.promptGroup);
    expect(second?.promptGroup).not.toBe(first?.promptGroup);
  });
});
