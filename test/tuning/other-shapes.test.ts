import { spawnSync } from 'node:child_process';

import { describe, expect, it } from 'vitest';

import { DataError } from '../../src/tuning/data/data-error.js';
import type { TrainingExample } from '../../src/tuning/data/example.js';
import { parseJsonl } from '../../src/tuning/data/jsonl.js';

const hasJq = spawnSync('jq', ['--version']).status === 0;

const read = (line: object): Promise<TrainingExample[]> => parseJsonl(JSON.stringify(line), 'x.jsonl');
const turn = (role: string, content: string) => ({ role, content });

/** Lines of other shapes, and the example that the line of the message makes of each. */
const CASES: [string, object, string, string][] = [
  [
    'messages of a chat',
    { messages: [turn('system', 'Be brief.'), turn('user', "What's new?"), turn('assistant', 'Not "much".')] },
    "system: Be brief.\nuser: What's new?\nassistant:",
    ' Not "much".',
  ],
  [
    'conversations',
    {
      id: 7,
      conversations: [
        { from: 'human', value: 'Hi' },
        { from: 'gpt', value: 'Hello' },
      ],
    },
    'human: Hi\ngpt:',
    ' Hello',
  ],
  [
    'messages of a chat in prompt and completion',
    { prompt: [turn('user', 'Hi')], completion: [turn('assistant', 'Hello')] },
    'user: Hi\nassistant:',
    ' Hello',
  ],
  ['prompt and chosen', { prompt: 'a', chosen: 'b', rejected: 'c' }, 'a', 'b'],
  ['prompt and response', { prompt: 'a', response: 'b' }, 'a', 'b'],
  ['query and response', { query: 'a', response: 'b' }, 'a', 'b'],
  [
    'instruction, context and response',
    { instruction: 'Why?', context: 'It is.', response: 'So.' },
    'Why?\nIt is.\n',
    'So.',
  ],
  ['instruction, context and response', { instruction: 'Why?', context: '', response: 'So.' }, 'Why?\n', 'So.'],
  ['instruction, input and output', { instruction: 'Add.', input: '1 2', output: '3' }, 'Add.\n1 2\n', '3'],
  ['instruction, input and output', { instruction: 'Add.', input: '', output: '3' }, 'Add.\n', '3'],
  ['instruction, input and output', { instruction: 'Add.', output: '3' }, 'Add.\n', '3'],
  ['input and output', { input: 'a', output: 'b' }, 'a', 'b'],
  ['question and answer', { question: 'a?', answer: 'b' }, 'a?\n', 'b'],
  ['source and target', { source: 'a', target: 'b' }, 'a', 'b'],
  ['a text without a prompt', { text: 'Once.' }, '<|endoftext|>', 'Once.'],
];

describe('lines of another shape', () => {
  it.each(CASES)('are refused with the line that rewrites them: %s', async (name, line, source, target) => {
    const error: unknown = await read(line).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DataError);
    const { message } = error as DataError;
    const [what, command] = message.split('; write lines of those, as with: ');
    expect(what).toBe(`x.jsonl line 1: ${name}, instead of prompt and completion`);
    expect(message).not.toContain('\n');
    if (!hasJq) return;
    const { stdout } = spawnSync('sh', ['-c', command!], { input: JSON.stringify(line), encoding: 'utf8' });
    expect(await parseJsonl(stdout, 'new.jsonl')).toMatchObject([{ source, targets: [target] }]);
  });

  it('are read where they have prompt and completion too', async () => {
    const line = { prompt: 'a', completion: [1, 2], text: 'ab', input: 'a', output: 'b', chosen: 'c' };
    expect(await read(line)).toMatchObject([{ source: 'a', targets: [[1, 2]] }]);
  });

  it('that are not known are refused for the field that is missing', async () => {
    await expect(read({ prompt: 'a', label: 'b' })).rejects.toThrow(
      'x.jsonl line 1: completion is missing: a line has prompt and completion, each a string or an array of token ids',
    );
    await expect(read({ prompt: [{ a: 1 }], completion: 'b' })).rejects.toThrow('x.jsonl line 1: prompt is neither');
  });
});
