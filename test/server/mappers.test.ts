import { describe, expect, it } from 'vitest';

import type { GenerationEvent } from '../../src/engine/request.js';
import { ChoiceWriter, isSilent } from '../../src/server/completions/choice.js';
import { toGenerationRequests } from '../../src/server/completions/generation-requests.js';
import { LogprobsWriter, tokenText } from '../../src/server/completions/logprobs.js';
import { readParams } from '../../src/server/completions/params.js';
import { readPrompts } from '../../src/server/completions/prompts.js';
import type { ApiError } from '../../src/server/errors.js';
import type { CompletionRequest } from '../../src/server/schemas/completion.js';

const bytes = new TextEncoder();
const minimal: CompletionRequest = { model: 'm', prompt: 'p' };

function refusal(action: () => unknown): Pick<ApiError, 'code' | 'param' | 'message'> {
  try {
    action();
  } catch (error) {
    return error as ApiError;
  }
  throw new Error('nothing was refused');
}

describe('readParams', () => {
  it('fills in the defaults', () => {
    expect(readParams(minimal)).toEqual({
      model: 'm',
      prompt: 'p',
      n: 1,
      maxTokens: 16,
      minTokens: 0,
      temperature: 1,
      topP: 1,
      topK: 0,
      seed: undefined,
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
      logprobs: undefined,
      returnTokenIds: false,
      stream: false,
      includeUsage: false,
    });
  });

  it('takes zero as a value', () => {
    const zeros = { max_tokens: 0, temperature: 0, top_p: 0, top_k: 0, seed: 0, logprobs: 0 };
    expect(readParams({ ...minimal, ...zeros })).toMatchObject({
      maxTokens: 0,
      temperature: 0,
      topP: 0,
      topK: 0,
      seed: 0,
      logprobs: 0,
    });
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
    expect(readParams({ ...minimal, ...nulls, stream_options: null })).toEqual(readParams(minimal));
  });

  it('takes -1 of top_k as off, and one stop string as a list', () => {
    expect(readParams({ ...minimal, top_k: -1, stop: '\n' })).toMatchObject({ topK: 0, stop: ['\n'] });
  });

  it.each([
    ['echo', false, true],
    ['suffix', null, 'end'],
    ['best_of', 1, 2],
    ['presence_penalty', 0, 0.5],
    ['frequency_penalty', 0, -1],
    ['repetition_penalty', 1, 1.2],
    ['logit_bias', {}, { '5': 1 }],
    ['min_p', 0, 0.1],
  ])('accepts the neutral %s and refuses another by name', (field, neutral, other) => {
    expect(readParams({ ...minimal, [field]: neutral })).toEqual(readParams(minimal));
    expect(readParams({ ...minimal, [field]: null })).toEqual(readParams(minimal));
    expect(refusal(() => readParams({ ...minimal, [field]: other }))).toMatchObject({
      code: 'unsupported_parameter',
      param: field,
    });
  });

  it('accepts best_of equal to n', () => {
    expect(readParams({ ...minimal, n: 3, best_of: 3 }).n).toBe(3);
  });

  it('refuses more min_tokens than max_tokens', () => {
    expect(refusal(() => readParams({ ...minimal, min_tokens: 17 }))).toMatchObject({ param: 'min_tokens' });
  });

  it('refuses stream_options without a stream', () => {
    const body = { ...minimal, stream_options: { include_usage: true } };
    expect(refusal(() => readParams(body))).toMatchObject({ param: 'stream_options' });
  });
});

describe('readPrompts', () => {
  const encoder = { encode: (text: string) => [...bytes.encode(text)] };
  const read = (prompt: CompletionRequest['prompt']): number[][] => readPrompts(prompt, encoder, 256);

  it('reads all four forms', () => {
    expect(read('ab')).toEqual([[97, 98]]);
    expect(read(['a', 'b'])).toEqual([[97], [98]]);
    expect(read([97, 98])).toEqual([[97, 98]]);
    expect(read([[97], [98, 99]])).toEqual([[97], [98, 99]]);
  });

  it.each([[''], [['a', '']], [[[1], []]]])('refuses %j: a prompt without a token', (prompt) => {
    expect(refusal(() => read(prompt))).toMatchObject({ code: 'invalid_value', param: 'prompt' });
  });

  it('refuses ids that are not in the vocabulary', () => {
    expect(refusal(() => read([0, 256])).message).toContain('0 to 255');
    expect(read([0, 255])).toEqual([[0, 255]]);
  });
});

describe('toGenerationRequests', () => {
  const scope = { tenant: 't', prefix: undefined, contextLength: 10, maxChoices: 4 };
  const prefix = { kv: { length: 3, rows: new Float32Array() }, placement: 'infix' as const };

  it('makes n choices of each prompt, in order', () => {
    const params = readParams({ ...minimal, n: 2, max_tokens: 1, seed: 7 });
    const requests = toGenerationRequests(params, [[1], [2]], scope);
    expect(requests.map(({ prompt, choice }) => [prompt[0], choice])).toEqual([
      [1, 0],
      [1, 1],
      [2, 0],
      [2, 1],
    ]);
    expect(requests[0]).toMatchObject({ tenant: 't', maxTokens: 1, sampling: { seed: 7, temperature: 1 } });
  });

  it('fills the context to the last token', () => {
    const params = readParams({ ...minimal, max_tokens: 5 });
    expect(toGenerationRequests(params, [[1, 2]], { ...scope, prefix })).toHaveLength(1);
  });

  it('refuses one token more, with the numbers', () => {
    const params = readParams({ ...minimal, max_tokens: 6 });
    const error = refusal(() => toGenerationRequests(params, [[1, 2]], { ...scope, prefix }));
    expect(error.code).toBe('context_length_exceeded');
    expect(error.message).toMatch(/10 tokens.* 11: 3 of the prefix, 2 of the prompt and 6/);
  });

  it('refuses too many choices', () => {
    const params = readParams({ ...minimal, n: 3, max_tokens: 1 });
    expect(refusal(() => toGenerationRequests(params, [[1], [2]], scope))).toMatchObject({ param: 'n' });
  });
});

/** Token 0 is "a", 1 and 2 are the halves of "é", 3 is a face of two UTF-16 units, 4 is "b". */
const vocabulary = [[97], [0xc3], [0xa9], [0xf0, 0x9f, 0x98, 0x80], [98]].map((token) => Uint8Array.from(token));
const tokenizer = { tokenBytes: (id: number) => vocabulary[id] ?? new Uint8Array() };

describe('LogprobsWriter', () => {
  it('writes tokens that are not whole characters as bytes', () => {
    expect(tokenText(Uint8Array.of(0xc3))).toBe(String.raw`bytes:\xc3`);
    expect(tokenText(Uint8Array.of(0xe2, 0x82))).toBe(String.raw`bytes:\xe2\x82`);
    expect(tokenText(bytes.encode('é\uFEFF'))).toBe('é\uFEFF');
  });

  it('counts offsets in UTF-16 units; a continued character starts where it began', () => {
    const writer = new LogprobsWriter(tokenizer);
    const offsets = [0, 3, 1, 2, 4].map(
      (id) => writer.write({ type: 'token', id, text: '', logprob: -1, top: [] }).text_offset[0],
    );
    expect(offsets).toEqual([0, 1, 3, 3, 4]);
  });

  it('has the best tokens and the chosen one', () => {
    const writer = new LogprobsWriter(tokenizer);
    const top = [
      { id: 0, logprob: -0.5 },
      { id: 1, logprob: -1.5 },
    ];
    const entry = writer.write({ type: 'token', id: 4, text: 'b', logprob: -3, top });
    expect(entry.top_logprobs).toEqual([{ a: -0.5, [String.raw`bytes:\xc3`]: -1.5, b: -3 }]);
    expect(writer.write({ type: 'token', id: 0, text: 'a', logprob: -0.5, top }).top_logprobs[0]).not.toHaveProperty(
      'b',
    );
    expect(writer.write({ type: 'token', id: 0, text: 'a', logprob: -0.5, top: [] }).top_logprobs).toEqual([
      { a: -0.5 },
    ]);
  });
});

describe('ChoiceWriter', () => {
  const events: GenerationEvent[] = [
    { type: 'token', id: 1, text: '' },
    { type: 'token', id: 2, text: 'é' },
    { type: 'finish', reason: 'length', text: '' },
  ];

  it('writes text and the finish reason, and is silent while text is held back', () => {
    const writer = new ChoiceWriter({ index: 1, withLogprobs: false, promptTokenIds: undefined }, tokenizer);
    const chunks = events.map((event) => writer.write(event));
    expect(chunks.filter((chunk) => !isSilent(chunk))).toEqual([
      { text: 'é', index: 1, logprobs: null, finish_reason: null },
      { text: '', index: 1, logprobs: null, finish_reason: 'length' },
    ]);
    expect(writer.tokens).toBe(2);
  });

  it('gives the prompt’s ids with the first chunk and each token’s with its own', () => {
    const writer = new ChoiceWriter({ index: 0, withLogprobs: false, promptTokenIds: [9] }, tokenizer);
    const ids = events.map((event) => writer.write(event)).map((c) => [c.prompt_token_ids, c.token_ids]);
    expect(ids).toEqual([
      [[9], [1]],
      [undefined, [2]],
      [undefined, []],
    ]);
  });

  it('makes an error of a sequence that the engine gave up', () => {
    const writer = new ChoiceWriter({ index: 0, withLogprobs: false, promptTokenIds: undefined }, tokenizer);
    expect(refusal(() => writer.write({ type: 'finish', reason: 'abort', text: '' }))).toMatchObject({
      code: 'generation_aborted',
    });
  });
});
