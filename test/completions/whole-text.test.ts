import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { LogprobsWriter } from '../../src/completions/answer/logprobs.js';
import { PromptEcho } from '../../src/completions/answer/prompt-echo.js';
import { OutputText } from '../../src/engine/output/output-text.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';

const golden = new URL('../tokenizer/goldens/byte-fallback.json', import.meta.url);
const { base } = JSON.parse(readFileSync(golden, 'utf8')) as { base: object };
const tokenizer = new Tokenizer(base);
const prompt = tokenizer.encode('he ba');
const answer = tokenizer.encodeContinuation(' he漢!');

describe('where a tokenizer puts a space before a text', () => {
  const textOf = (stop: readonly string[]): string => {
    const output = new OutputText(tokenizer, { stop });
    return answer.map((id) => output.push(id, true)).join('') + output.end();
  };

  it('an answer keeps its space, and stop strings are found in it', () => {
    expect(textOf([])).toBe(' he漢!');
    expect(textOf([' he漢'])).toBe('');
    expect(textOf(['漢'])).toBe(' he');
  });

  it('an echoed prompt has lost it', () => {
    const echo = new PromptEcho(prompt, undefined, tokenizer);
    expect(echo.write({ type: 'token', id: 0, text: '' }).text).toBe('he ba');
  });

  it('offsets are places in the text', () => {
    const writer = new LogprobsWriter(tokenizer, true, true);
    const places = prompt.map((id) => writer.write({ id }));
    writer.endText();
    const rest = answer.map((id) => writer.write({ id }));
    const text = 'he ba he漢!';
    expect([...places, ...rest].map(({ text_offset: [offset = 0] }) => text.slice(offset))).toEqual([
      ...['he ba he漢!', ' ba he漢!'],
      ...[' he漢!', '漢!', '漢!', '漢!', '!'],
    ]);
    expect(rest.flatMap(({ tokens }) => tokens)).toEqual([' he', 'bytes:\\xe6', 'bytes:\\xbc', 'bytes:\\xa2', '!']);
  });
});
