import { describe, expect, it } from 'vitest';

import { type ChatTemplate, ChatTemplateError } from '../../src/tokenizer/chat-template.js';
import { parseJsonl } from '../../src/tuning/data/jsonl.js';

const template: ChatTemplate = {
  render: (messages, opensAnswer) => {
    if (messages[0]?.role === 'system') throw new ChatTemplateError('No system message.');
    const said = messages.map(({ role, content }) => `<${role}>${content.trim()}</s>\n`).join('');
    return opensAnswer ? `${said}<assistant>` : said;
  },
};
const [question, answer] = [
  { role: 'user', content: ' Where? ' },
  { role: 'assistant', content: ' Here. ' },
];
const read = (line: object, end = '</s>') =>
  parseJsonl(JSON.stringify(line), 'x.jsonl', { conversation: { template, end } });

describe('a line of messages', () => {
  it('teaches the last one behind what the template makes of the others', async () => {
    expect(await read({ messages: [question, answer, question, answer], category: 'c' })).toStrictEqual([
      {
        source: '<user>Where?</s>\n<assistant>Here.</s>\n<user>Where?</s>\n<assistant>',
        isRendered: true,
        targets: ['Here.'],
        category: 'c',
        where: 'x.jsonl line 1',
      },
    ]);
  });

  it('keeps what the template writes behind a message, unless it is the end token, which is learned anyway', async () => {
    expect(await read({ messages: [question, answer] }, '<|end|>')).toMatchObject([{ targets: ['Here.</s>\n'] }]);
    expect(await read({ messages: [question, answer] }, '')).toMatchObject([{ targets: ['Here.</s>\n'] }]);
  });

  it('beside lines of prompt and completion', async () => {
    expect(await read({ prompt: 'a', completion: 'b' })).toMatchObject([{ source: 'a', targets: ['b'] }]);
  });

  it.each([
    [{ messages: [] }, 'messages is a conversation whose last message is not the assistant’s'],
    [{ messages: [answer, question] }, 'messages is a conversation whose last message is not the assistant’s'],
    [{ messages: 'a' }, 'messages is not an array'],
    [{ messages: [{ role: 'assistant' }] }, 'messages[0].content is not a string'],
    [{ messages: [{ content: 'a' }] }, 'messages[0].role is not a string'],
    [
      { messages: [{ role: 'system', content: 'a' }, answer] },
      "messages is refused by the model's chat template: No system message.",
    ],
  ])('that cannot be learned is refused by field: %j', async (line, problem) => {
    await expect(read(line)).rejects.toThrow(`x.jsonl line 1: ${problem}`);
  });

  it('is refused where the template writes an answer otherwise than a prompt opens it', async () => {
    const other: ChatTemplate = { render: (messages, opens) => (opens ? 'a' : messages.map(() => 'b').join('')) };
    const line = JSON.stringify({ messages: [question, answer] });
    await expect(parseJsonl(line, 'x.jsonl', { conversation: { template: other, end: '' } })).rejects.toThrow(
      'messages is not written by the chat template as a prompt and what follows it',
    );
  });
});
