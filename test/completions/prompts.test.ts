import { describe, expect, it } from 'vitest';

import { requestContext, type RequestContext } from '../../src/completions/context.js';
import { encodePrompts } from '../../src/completions/plan/prompts.js';
import type { RawPrompt } from '../../src/completions/request/params.js';

const bytes = new TextEncoder();

describe('encodePrompts', () => {
  const encoder = {
    encode: (text: string) => [...bytes.encode(text)],
    encodeSource: (text: string) => [1, ...bytes.encode(text), 2],
    minTokens: (text: string) => Buffer.byteLength(text),
  };
  const room = { contextLength: 64, virtualTokens: 0 };
  const context = (): RequestContext => requestContext(new AbortController().signal);
  const encode = (
    prompts: readonly RawPrompt[],
    by = encoder,
    { maxTokens = 0, virtualTokens = 0, tokenization = {} } = {},
  ) => encodePrompts({ prompts, maxTokens, tokenization }, by, { ...room, virtualTokens }, context().yield);

  it('encodes texts, and takes ids as they are', async () => {
    expect(await encode(['ab', 'c'])).toEqual([[97, 98], [99]]);
    expect(await encode([[97], [98, 99]])).toEqual([[97], [98, 99]]);
  });

  it.each([[['']], [['a', '']], [[[1], []]]])('refuses %j: a prompt without a token', async (prompts) => {
    await expect(encode(prompts)).rejects.toMatchObject({ code: 'invalid_value', param: 'prompt' });
  });

  it('refuses what is longer than the context, a text of which that is plain before it is tokenized', async () => {
    const code = 'context_length_exceeded';
    await expect(encode([Array<number>(65).fill(1)])).rejects.toMatchObject({ code, param: 'prompt' });
    expect((await encode(['a'.repeat(64)]))[0]).toHaveLength(64);
    const never = (): never => {
      throw new Error('tokenized');
    };
    await expect(encode(['a'.repeat(65)], { ...encoder, encode: never })).rejects.toMatchObject({
      code,
      message: expect.stringContaining('the prompt has at least 65') as string,
    });
  });

  it('fills the context to the last token', async () => {
    expect(await encode([Array<number>(20).fill(1)], encoder, { virtualTokens: 3, maxTokens: 41 })).toHaveLength(1);
  });

  it('refuses one token more, with the numbers', async () => {
    const numbers = /64 tokens, but this request asks for 65: 3 of the prefix, 20 of the prompt and 42 to generate/;
    const prompts = [[1], Array<number>(20).fill(1)];
    await expect(encode(prompts, encoder, { virtualTokens: 3, maxTokens: 42 })).rejects.toMatchObject({
      code: 'context_length_exceeded',
      param: 'prompt',
      message: expect.stringMatching(numbers) as string,
    });
  });

  it('counts the tokens of a text that fits, but not with what is to be generated', async () => {
    const message = expect.stringContaining('asks for 102: 0 of the prefix, 2 of the prompt and 100 to') as string;
    await expect(encode(['ab'], { ...encoder, minTokens: () => 1 }, { maxTokens: 100 })).rejects.toMatchObject({
      message,
    });
  });

  describe('of an encoder', () => {
    const encodeSources = (
      prompts: readonly RawPrompt[],
      { by = encoder, virtual = 0, shift = 0, maxTokens = 0, tokenization = {} } = {},
    ) => {
      const source = { sourceLength: 8, virtualTokens: virtual, startTokens: 1 };
      return encodePrompts(
        { prompts, maxTokens, tokenization },
        by,
        { ...room, virtualTokens: shift, source },
        context().yield,
      );
    };
    const code = 'context_length_exceeded';
    const saying = (message: string) => expect.stringContaining(message) as string;

    it('gives texts the special tokens, and takes ids as they are', async () => {
      expect(await encodeSources(['ab', ''])).toEqual([
        [1, 97, 98, 2],
        [1, 2],
      ]);
      expect(await encodeSources([[97], [98, 99]])).toEqual([[97], [98, 99]]);
      await expect(encodeSources([[97], []])).rejects.toMatchObject({ code: 'invalid_value', param: 'prompt' });
    });

    it('fill it to the last token, behind what a prefix puts before them', async () => {
      expect((await encodeSources(['abcdef']))[0]).toHaveLength(8);
      expect((await encodeSources(['abc'], { virtual: 3 }))[0]).toHaveLength(5);
      const refused = { code, param: 'prompt', message: saying('8 tokens for its encoder, but the prompt has 9.') };
      await expect(encodeSources(['abcdefg'])).rejects.toMatchObject(refused);
      const message = saying('the prompt has 6 and the prefix 3.');
      await expect(encodeSources(['abcd'], { virtual: 3 })).rejects.toMatchObject({ code, param: 'prompt', message });
      const never = (): never => {
        throw new Error('tokenized');
      };
      const by = { ...encoder, encodeSource: never };
      await expect(encodeSources(['a'.repeat(9)], { by })).rejects.toMatchObject({ message: saying('at least 9.') });
    });

    it('have nothing to do with what the decoder generates, which must fit behind its start', async () => {
      expect(await encodeSources(['abcdef'], { maxTokens: 63 })).toHaveLength(1);
      expect(await encodeSources(['abcdef'], { maxTokens: 58, shift: 5 })).toHaveLength(1);
      const message = saying(
        '64 tokens for its decoder, but this request asks for 65: 5 of the prefix, 1 that it starts with and 59 to',
      );
      const refused = { code, param: 'max_tokens', message };
      await expect(encodeSources(['a'], { maxTokens: 59, shift: 5 })).rejects.toMatchObject(refused);
    });
  });

  it('encodes one prompt in a turn of the event loop, also where several requests share a context', async () => {
    const perTurn: number[] = [0];
    let isReading = true;
    const countTurns = (): void => {
      perTurn.push(0);
      if (isReading) setImmediate(countTurns);
    };
    setImmediate(countTurns);
    const count = (text: string): number[] => {
      perTurn[perTurn.length - 1]! += 1;
      return encoder.encode(text);
    };
    const shared = context();
    const requests = [['a', 'b'], ['c', 'd', 'e'], ['f']];
    const readers = requests.map((prompts) =>
      encodePrompts({ prompts, maxTokens: 0, tokenization: {} }, { ...encoder, encode: count }, room, shared.yield),
    );
    const prompts = await Promise.all(readers);
    isReading = false;
    expect(prompts.flat()).toEqual([[97], [98], [99], [100], [101], [102]]);
    expect(perTurn.filter((count) => count > 0)).toEqual(Array(6).fill(1));
  });

  it('encodes no more when its client is gone', async () => {
    const gone = new AbortController();
    let encoded = 0;
    const leave = (text: string): number[] => {
      if (++encoded === 2) gone.abort();
      return encoder.encode(text);
    };
    const params = { prompts: ['a', 'b', 'c'], maxTokens: 0, tokenization: {} };
    const reading = encodePrompts(params, { ...encoder, encode: leave }, room, requestContext(gone.signal).yield);
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    expect(encoded).toBe(2);
  });
});
