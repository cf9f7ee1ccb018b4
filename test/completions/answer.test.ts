import { describe, expect, it } from 'vitest';

import { keepBest } from '../../src/completions/answer/best-of.js';
import { ChoiceWriter, isSilent } from '../../src/completions/answer/choice.js';
import { LogprobsWriter } from '../../src/completions/answer/logprobs.js';
import { tokenText } from '../../src/completions/answer/token-name.js';
import type { GenerationEvent } from '../../src/engine/request.js';
import { refusal } from './refusal.js';

const bytes = new TextEncoder();
/** As it comes out of JSON. */
const parsed = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

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

  it('names a token that texts leave out, and counts nothing for it', () => {
    const skipping = {
      ...tokenizer,
      textBytes: (id: number) => (id === 0 ? new Uint8Array() : tokenizer.tokenBytes(id)),
    };
    const writer = new LogprobsWriter(skipping);
    const written = [0, 3, 0, 4].map((id) => writer.write({ id, logprob: -1, top: [] }));
    expect(written.map(({ tokens, text_offset }) => [tokens[0], text_offset[0]])).toEqual([
      ['a', 0],
      ['😀', 0],
      ['a', 2],
      ['b', 2],
    ]);
  });

  it('has the best tokens and the chosen one', () => {
    const writer = new LogprobsWriter(tokenizer);
    const top = [
      { id: 0, logprob: -0.5 },
      { id: 1, logprob: -1.5 },
    ];
    const entry = writer.write({ id: 4, logprob: -3, top });
    expect(parsed(entry.top_logprobs)).toEqual([{ a: -0.5, [String.raw`bytes:\xc3`]: -1.5, b: -3 }]);
    expect(parsed(writer.write({ id: 0, logprob: -0.5, top }).top_logprobs[0])).not.toHaveProperty('b');
    expect(parsed(writer.write({ id: 0, logprob: -0.5, top: [] }).top_logprobs)).toEqual([{ a: -0.5 }]);
    const beyond = [90, 91].map((id) => ({ id, logprob: -id })); // ids that the tokenizer does not have
    expect(parsed(writer.write({ id: 0, logprob: -99, top: beyond }).top_logprobs)).toEqual([
      { 'token_id:90': -90, 'token_id:91': -91, a: -99 },
    ]);
  });
});

describe('ChoiceWriter with echo', () => {
  const write = (echo: readonly number[], withLogprobs: boolean, events: readonly GenerationEvent[]) => {
    const writer = new ChoiceWriter(
      { index: 0, logprobs: withLogprobs ? 20 : undefined, promptTokenIds: undefined, echo },
      tokenizer,
    );
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
    expect(parsed(chunks[0]?.logprobs)).toMatchObject({
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
    const writer = new ChoiceWriter({ index: 1, logprobs: undefined, promptTokenIds: undefined }, tokenizer);
    const chunks = events.map((event) => writer.write(event));
    expect(chunks.filter((chunk) => !isSilent(chunk))).toEqual([
      { text: 'é', index: 1, logprobs: null, finish_reason: null },
      { text: '', index: 1, logprobs: null, finish_reason: 'length' },
    ]);
    expect(writer.tokens).toBe(2);
  });

  it('gives the prompt’s ids with the first chunk and each token’s with its own', () => {
    const writer = new ChoiceWriter({ index: 0, logprobs: undefined, promptTokenIds: [9] }, tokenizer);
    const ids = events.map((event) => writer.write(event)).map((c) => [c.prompt_token_ids, c.token_ids]);
    expect(ids).toEqual([
      [[9], [1]],
      [undefined, [2]],
      [undefined, []],
    ]);
  });

  it('is judged by the mean log-probability of what is generated, or by the score of a hypothesis', () => {
    const writer = new ChoiceWriter(
      { index: 0, logprobs: undefined, promptTokenIds: undefined, echo: [0, 4] },
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
    const writer = new ChoiceWriter({ index: 0, logprobs: undefined, promptTokenIds: undefined }, tokenizer);
    expect(refusal(() => writer.write({ type: 'finish', reason: 'abort', text: '' }))).toMatchObject({
      code: 'generation_aborted',
    });
  });
});
