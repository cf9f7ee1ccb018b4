import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { type ChatMessage, ChatTemplateError, loadChatTemplate } from '../../src/tokenizer/chat-template.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';

const goldens = fileURLToPath(new URL('../../../shared/goldens/llama/', import.meta.url));

interface GoldenChat {
  readonly messages: readonly ChatMessage[];
  readonly add_generation_prompt: boolean;
  readonly text: string;
  readonly ids: readonly number[];
}

/** A directory with these files. */
async function directoryOf(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'preamble-chat-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  return directory;
}

const said: readonly ChatMessage[] = [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content: 'Hi' },
];
const template = '{% for m in messages %}{{ bos_token }}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}';

describe('a chat template', () => {
  it.skipIf(!existsSync(goldens)).each(['tiny-llama', 'tiny-llama3', 'tiny-qwen2', 'tiny-qwen3'])(
    'makes the text and the ids that Transformers makes: %s (skipped without goldens)',
    async (name) => {
      const directory = join(goldens, 'models', name);
      const [chat, tokenizer] = [await loadChatTemplate(directory), await loadTokenizer(directory)];
      const cases = JSON.parse(readFileSync(join(goldens, 'expected', `${name}.chat.json`), 'utf8')) as GoldenChat[];
      expect(cases.length).toBeGreaterThan(3);
      for (const { messages, add_generation_prompt: opens, text, ids } of cases) {
        expect(chat?.render(messages, opens)).toBe(text);
        expect(tokenizer.encode(text)).toEqual(ids);
      }
    },
  );

  it('is read from its own file, else from the configuration, where several have names', async () => {
    const config = { bos_token: '<s>', eos_token: { content: '</s>' }, chat_template: template };
    const rendered = '<s>user: Hello</s>\n<s>assistant: Hi</s>\n';
    const alone = await directoryOf({ 'tokenizer_config.json': JSON.stringify(config) });
    expect((await loadChatTemplate(alone))?.render(said, false)).toBe(rendered);
    const named = [
      { name: 'tool_use', template: 'no' },
      { name: 'default', template },
    ];
    const several = await directoryOf({ 'tokenizer_config.json': JSON.stringify({ ...config, chat_template: named }) });
    expect((await loadChatTemplate(several))?.render(said, false)).toBe(rendered);
    const both = await directoryOf({
      'tokenizer_config.json': JSON.stringify({ ...config, chat_template: 'no' }),
      'chat_template.jinja': template,
    });
    expect((await loadChatTemplate(both))?.render(said, false)).toBe(rendered);
  });

  it('is told, as by Transformers, that there are no tools and no documents', async () => {
    const asks = ['tools', 'documents'].map(
      (name) => `{% if ${name} is defined and ${name} is none %}no ${name};{% endif %}`,
    );
    const chat = await loadChatTemplate(await directoryOf({ 'chat_template.jinja': asks.join('') }));
    expect(chat?.render(said, true)).toBe('no tools;no documents;');
  });

  it('need not be there', async () => {
    expect(await loadChatTemplate(await directoryOf({ 'tokenizer_config.json': '{}' }))).toBeUndefined();
    expect(await loadChatTemplate(await directoryOf({}))).toBeUndefined();
  });

  it('that is no Jinja is refused by the name of its file', async () => {
    const directory = await directoryOf({ 'chat_template.jinja': '{% for %}' });
    await expect(loadChatTemplate(directory)).rejects.toThrow(/chat_template\.jinja: the chat template cannot be read/);
  });

  it('refuses a conversation in its own words', async () => {
    const strict = `{% if messages[0].role != 'user' %}{{ raise_exception('The user speaks first.') }}{% endif %}ok`;
    const chat = await loadChatTemplate(await directoryOf({ 'chat_template.jinja': strict }));
    expect(chat?.render(said, true)).toBe('ok');
    expect(() => chat?.render([...said].reverse(), true)).toThrow(new ChatTemplateError('The user speaks first.'));
  });
});
