import { describe, expect, it } from 'vitest';

import type { GenerationEvent } from '../../src/engine/request.js';
import { keepBest } from '../../src/server/completions/best-of.js';
import { ChoiceWriter, isSilent } from '../../src/server/completions/choice.js';
import { refuseTooManyChoices, toGenerationRequests } from '../../src/server/completions/generation-requests.js';
import { LogprobsWriter, tokenText } from '../../src/server/completions/logprobs.js';
import { readParams } from '../../src/server/completions/params.js';
import { readPrompts, splitPrompts } from '../../src/server/completions/prompts.js';
import { Turns } from '../../src/server/completions/turns.js';
import type { ApiError } from '../../src/server/errors.js';
import type { CompletionRequest } from '../../src/server/completions/schema.js';

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
      bestOf: 1,
      echo: false,
      maxTokens: 16,
      minTokens: 0,
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: {},
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

  it('takes a temperature that no logit can be divided by as greedy', () => {
    for (const temperature of [5e-324, 1e-10, 9.9e-6]) {
      expect(readParams({ ...minimal, temperature }).temperature).toBe(0);
    }
    expect(readParams({ ...minimal, temperature: 1e-5 }).temperature).toBe(1e-5);
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
    ['echo', false],
    ['suffix', null],
    ['best_of', 1],
    ['presence_penalty', 0],
    ['frequency_penalty', 0],
    ['repetition_penalty', 1],
    ['logit_bias', {}],
    ['min_p', 0],
  ])('takes the neutral %s as not given', (field, neutral) => {
    expect(readParams({ ...minimal, [field]: neutral })).toEqual(readParams(minimal));
    expect(readParams({ ...minimal, [field]: null })).toEqual(readParams(minimal));
  });

  it('refuses a suffix by name', () => {
    for (const suffix of ['', 'end']) {
      expect(refusal(() => readParams({ ...minimal, suffix }))).toMatchObject({
        code: 'unsupported_parameter',
        param: 'suffix',
      });
    }
  });

  it('generates n choices unless best_of says more, and refuses less', () => {
    expect(readParams({ ...minimal, n: 3 })).toMatchObject({ n: 3, bestOf: 3 });
    expect(readParams({ ...minimal, n: 3, best_of: 3, stream: true })).toMatchObject({ n: 3, bestOf: 3 });
    expect(readParams({ ...minimal, best_of: 4 })).toMatchObject({ n: 1, bestOf: 4 });
    expect(refusal(() => readParams({ ...minimal, n: 3, best_of: 2 }))).toMatchObject({ param: 'best_of' });
  });

  it('refuses to stream the best of more than n', () => {
    expect(refusal(() => readParams({ ...minimal, best_of: 2, stream: true }))).toMatchObject({ param: 'best_of' });
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
  const encoder = {
    encode: (text: string) => [...bytes.encode(text)],
    minTokens: (text: string) => Buffer.byteLength(text),
  };
  const limits = { vocabularySize: 256, contextLength: 64 };
  const turns = (): Turns => new Turns(new AbortController().signal);
  const read = (prompt: CompletionRequest['prompt'], by = encoder): Promise<number[][]> =>
    readPrompts(splitPrompts(prompt), by, limits, turns());

  it('reads all four forms', async () => {
    expect(await read('ab')).toEqual([[97, 98]]);
    expect(await read(['a', 'b'])).toEqual([[97], [98]]);
    expect(await read([97, 98])).toEqual([[97, 98]]);
    expect(await read([[97], [98, 99]])).toEqual([[97], [98, 99]]);
  });

  it.each([[''], [['a', '']], [[[1], []]]])('refuses %j: a prompt without a token', async (prompt) => {
    await expect(read(prompt)).rejects.toMatchObject({ code: 'invalid_value', param: 'prompt' });
  });

  it('refuses what is longer than the context, a text of which that is plain before it is tokenized', async () => {
    const code = 'context_length_exceeded';
    await expect(read(Array<number>(65).fill(1))).rejects.toMatchObject({ code, param: 'prompt' });
    expect((await read('a'.repeat(64)))[0]).toHaveLength(64);
    const never = (): never => {
      throw new Error('tokenized');
    };
    await expect(read('a'.repeat(65), { ...encoder, encode: never })).rejects.toMatchObject({
      code,
      message: expect.stringContaining('at least 65') as string,
    });
  });

  it('refuses ids that are not in the vocabulary', async () => {
    await expect(read([0, 256])).rejects.toThrow('0 to 255');
    expect(await read([0, 255])).toEqual([[0, 255]]);
  });

  it('reads one prompt in a turn of the event loop, also of several readers that share turns', async () => {
    const perTurn: number[] = [0];
    let isReading = true;
    const countTurns = (): void => {
      perTurn.push(0);
      if (isReading) setImmediate(countTurns);
    };
    setImmediate(countTurns);
    const encode = (text: string): number[] => {
      perTurn[perTurn.length - 1]! += 1;
      return encoder.encode(text);
    };
    const shared = turns();
    const requests = [['a', 'b'], ['c', 'd', 'e'], ['f']];
    const readers = requests.map((prompts) => readPrompts(prompts, { ...encoder, encode }, limits, shared));
    const prompts = await Promise.all(readers);
    isReading = false;
    expect(prompts.flat()).toEqual([[97], [98], [99], [100], [101], [102]]);
    expect(perTurn.filter((count) => count > 0)).toEqual(Array(6).fill(1));
  });

  it('reads no more when its client is gone', async () => {
    const gone = new AbortController();
    let encoded = 0;
    const encode = (text: string): number[] => {
      if (++encoded === 2) gone.abort();
      return encoder.encode(text);
    };
    const reading = readPrompts(['a', 'b', 'c'], { ...encoder, encode }, limits, new Turns(gone.signal));
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    expect(encoded).toBe(2);
  });
});

describe('toGenerationRequests', () => {
  const scope = { tenant: 't', prefix: undefined, contextLength: 10, vocabularySize: 256 };
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

  it('makes siblings of equal prompts, of this request alone', () => {
    const make = () => toGenerationRequests(readParams({ ...minimal, n: 1, max_tokens: 1 }), [[1, 12], [11, 2], [1, 12]], scope); // prettier-ignore
    const [first, second, third] = make().map(({ siblings }) => siblings);
    expect(typeof first).toBe('symbol');
    expect(third).toBe(first);
    expect(second).not.toBe(first);
    expect(make()[0]?.siblings).not.toBe(first);
    const two = toGenerationRequests(readParams({ ...minimal, n: 2, max_tokens: 1 }), [[1]], scope);
    expect(two[1]?.siblings).toBe(two[0]?.siblings);
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

  const one = (fields: Partial<CompletionRequest>) =>
    toGenerationRequests(readParams({ ...minimal, max_tokens: 1, ...fields }), [[1]], scope)[0];

  it('changes no logits unless a field asks for it', () => {
    const neutral = { presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1, logit_bias: {}, min_p: 0 };
    expect(one(neutral)?.sampling).not.toHaveProperty('adjustments');
  });

  it.each([
    [{ presence_penalty: -2 }, { presencePenalty: -2 }],
    [{ frequency_penalty: 0.5 }, { frequencyPenalty: 0.5 }],
    [{ repetition_penalty: 1.5 }, { repetitionPenalty: 1.5 }],
    [{ logit_bias: { '0': 0, '255': -100 } }, { bias: new Map([[0, 0], [255, -100]]) }], // prettier-ignore
  ])('hands on %j', (fields, changed) => {
    const neutral = { bias: new Map(), repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 };
    expect(one(fields)?.sampling.adjustments).toEqual({ ...neutral, ...changed });
  });

  it.each(['256', '-1', '01', '1.0', '1e2', '', ' 1', 'a', '0x1'])('refuses %j as a key of logit_bias', (key) => {
    const error = refusal(() => one({ logit_bias: { [key]: 1 } }));
    expect(error).toMatchObject({ code: 'invalid_value', param: 'logit_bias' });
    expect(error.message).toContain('0 to 255');
  });

  it('makes best_of choices of each prompt, each from its own stream, and has them scored', () => {
    const params = readParams({ ...minimal, n: 1, best_of: 2, max_tokens: 1 });
    const requests = toGenerationRequests(params, [[1], [2]], scope);
    expect(requests.map(({ prompt, choice, logprobs }) => [prompt[0], choice, logprobs])).toEqual([
      [1, 0, 0],
      [1, 1, 0],
      [2, 0, 0],
      [2, 1, 0],
    ]);
  });

  it('has the prompt scored for echo with log-probabilities alone', () => {
    expect(one({ echo: true, logprobs: 0 })).toMatchObject({ logprobs: 0, promptLogprobs: 0 });
    expect(one({ echo: true })?.promptLogprobs).toBeUndefined();
    expect(one({ logprobs: 3 })?.promptLogprobs).toBeUndefined();
  });
});

describe('refuseTooManyChoices', () => {
  it('names the field that has too many', () => {
    const refuse = (fields: Partial<CompletionRequest>, prompts: number) =>
      refusal(() => refuseTooManyChoices(readParams({ ...minimal, ...fields }), prompts, 4));
    expect(refuse({ n: 3 }, 2)).toMatchObject({ code: 'invalid_value', param: 'n' });
    expect(refuse({ best_of: 3 }, 2)).toMatchObject({ param: 'best_of' });
    expect(refuse({ n: 1 }, 5)).toMatchObject({ param: 'prompt' });
    expect(() => refuseTooManyChoices(readParams({ ...minimal, n: 2 }), 2, 4)).not.toThrow();
  });
});

describe('keepBest', () => {
  const candidates = [-2, -1, -1, -3, -0.5, -0.75].map((score, index) => ({
    score,
    choice: { text: `${index}`, index, logprobs: null, finish_reason: 'stop' as const },
  }));
  const keep = (n: number, bestOf: number) => keepBest(candidates, n, bestOf).map(({ index, text }) => [index, text]);

  it('keeps the n best of each prompt, best first, equal ones in order, and numbers them anew', () => {
    expect(keep(2, 3)).toEqual([[0, '1'], [1, '2'], [2, '4'], [3, '5']]); // prettier-ignore
    expect(keep(1, 6)).toEqual([[0, '4']]);
  });

  it('leaves all as they are when all are asked for', () => {
    expect(keep(3, 3)).toEqual(candidates.map(({ choice }) => [choice.index, choice.text]));
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
    const offsets = [0, 3, 1, 2, 4].map((id) => writer.write({ id, logprob: -1, top: [] }).text_offset[0]);
    expect(offsets).toEqual([0, 1, 3, 3, 4]);
  });

  it('has the best tokens and the chosen one', () => {
    const writer = new LogprobsWriter(tokenizer);
    const top = [
      { id: 0, logprob: -0.5 },
      { id: 1, logprob: -1.5 },
    ];
    const entry = writer.write({ id: 4, logprob: -3, top });
    expect(entry.top_logprobs).toEqual([{ a: -0.5, [String.raw`bytes:\xc3`]: -1.5, b: -3 }]);
    expect(writer.write({ id: 0, logprob: -0.5, top }).top_logprobs[0]).not.toHaveProperty('b');
    expect(writer.write({ id: 0, logprob: -0.5, top: [] }).top_logprobs).toEqual([{ a: -0.5 }]);
    const beyond = [90, 91].map((id) => ({ id, logprob: -id })); // ids that the tokenizer does not have
    expect(writer.write({ id: 0, logprob: -99, top: beyond }).top_logprobs).toEqual([{ '': -90, a: -99 }]);
  });
});

describe('ChoiceWriter with echo', () => {
  const write = (echo: readonly number[], withLogprobs: boolean, events: readonly GenerationEvent[]) => {
    const writer = new ChoiceWriter({ index: 0, withLogprobs, promptTokenIds: undefined, echo }, tokenizer);
    return events.map((event) => writer.write(event));
  };
  const generated: GenerationEvent[] = [
    { type: 'token', id: 4, text: 'b', logprob: -1, top: [] },
    { type: 'finish', reason: 'length', text: '' },
  ];
  const score = (id: number, logprob: number) => ({ id, logprob, top: [] });

  it('begins with the prompt', () => {
    expect(write([0, 1, 2], false, generated).map(({ text }) => text)).toEqual(['aéb', '']);
    expect(write([0, 1, 2], false, generated.slice(1)).map(({ text }) => text)).toEqual(['aé']);
  });

  it('writes the prompt as it is scored; its first log-probability is null', () => {
    const parts: GenerationEvent[] = [
      { type: 'prompt', tokens: [score(1, -2)] },
      { type: 'prompt', tokens: [score(2, -3), score(3, -4)] },
    ];
    const chunks = write([0, 1, 2, 3], true, [...parts, ...generated]);
    expect(chunks.map(({ text }) => text)).toEqual(['a', 'é😀', 'b', '']);
    expect(chunks.map(({ logprobs }) => logprobs?.token_logprobs)).toEqual([[null, -2], [-3, -4], [-1], undefined]);
    expect(chunks.map(({ logprobs }) => logprobs?.text_offset)).toEqual([[0, 1], [1, 2], [4], undefined]);
    expect(chunks[0]?.logprobs).toMatchObject({
      tokens: ['a', String.raw`bytes:\xc3`],
      top_logprobs: [null, { [String.raw`bytes:\xc3`]: -2 }],
    });
  });

  it('a prompt of one token comes with what follows', () => {
    const [first] = write([0], true, generated);
    expect(first).toMatchObject({ text: 'ab', logprobs: { token_logprobs: [null, -1], text_offset: [0, 1] } });
    expect(write([0], true, generated.slice(1))[0]).toMatchObject({ text: 'a', logprobs: { token_logprobs: [null] } });
  });

  it('half a character at the end of the prompt is no part of what is generated', () => {
    const [first] = write([0, 1], false, generated);
    expect(first?.text).toBe('a\uFFFDb');
    const scored = write([0, 1], true, [{ type: 'prompt', tokens: [score(1, -2)] }, ...generated]);
    expect(scored.map(({ text }) => text).join('')).toBe('a\uFFFDb');
    expect(scored.map(({ logprobs }) => logprobs?.text_offset)).toEqual([[0, 1], [2], undefined]);
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

  it('is judged by the mean log-probability of what is generated, or by the score of a hypothesis', () => {
    const writer = new ChoiceWriter(
      { index: 0, withLogprobs: false, promptTokenIds: undefined, echo: [0, 4] },
      tokenizer,
    );
    expect(writer.score).toBe(0);
    writer.write({ type: 'prompt', tokens: [{ id: 4, logprob: -9, top: [] }] });
    for (const logprob of [-1, -2]) writer.write({ type: 'token', id: 0, text: 'a', logprob });
    expect(writer.score).toBe(-1.5);
    writer.write({ type: 'finish', reason: 'stop', text: '', score: -7 });
    expect(writer.score).toBe(-7);
  });

  it('makes an error of a sequence that the engine gave up', () => {
    const writer = new ChoiceWriter({ index: 0, withLogprobs: false, promptTokenIds: undefined }, tokenizer);
    expect(refusal(() => writer.write({ type: 'finish', reason: 'abort', text: '' }))).toMatchObject({
      code: 'generation_aborted',
    });
  });
});
