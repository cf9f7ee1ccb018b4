import { join } from 'node:path';

import { isObject } from '../lib/is-object.js';
import { readObjectIfThere, readTextIfThere } from './text-file.js';
import { TokenizerError } from './tokenizer-error.js';

/** One message of a conversation, as templates read it. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly name?: string;
}

/** Turns a conversation into the text that a model was trained to go on from. */
export interface ChatTemplate {
  /**
   * The text of a conversation.
   * @param opensAnswer whether the text ends where the assistant's next message begins
   * @throws ChatTemplateError for a conversation that the template does not take
   */
  render(messages: readonly ChatMessage[], opensAnswer: boolean): string;
}

/** A conversation that the model's template does not take. */
export class ChatTemplateError extends Error {
  override readonly name = 'ChatTemplateError';
}

type Fields = Readonly<Record<string, unknown>>;

/** Names of special tokens that templates may use, in `tokenizer_config.json` or `special_tokens_map.json`. */
const SPECIAL_TOKENS = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'].map((name) => `${name}_token`);

/** What Transformers hands to a template without tools or documents: templates ask whether these are none, which undefined is not. */
const NOTHING_ELSE = { tools: null, documents: null };

/**
 * Loads the chat template of a model's directory: `chat_template.jinja`, else the one in `tokenizer_config.json`; of several the one named `default`.
 * Undefined where there is none.
 * @throws TokenizerError naming the file whose template is not Jinja
 */
export async function loadChatTemplate(directory: string): Promise<ChatTemplate | undefined> {
  const config = (await readObjectIfThere(directory, 'tokenizer_config.json')) as Fields | undefined;
  const source = await readTextIfThere(directory, 'chat_template.jinja');
  const text = source ?? defaultTemplate(config?.['chat_template']);
  if (text === undefined) return undefined;
  const specialTokens = await loadSpecialTokens(directory);
  // A model without a template need not load the interpreter.
  const { Template } = await import('@huggingface/jinja');
  try {
    const template = new Template(text);
    return {
      render: (messages, opensAnswer) => render(template, templateItems(specialTokens, messages, opensAnswer)),
    };
  } catch (error) {
    const file = join(directory, source === undefined ? 'tokenizer_config.json' : 'chat_template.jinja');
    throw new TokenizerError(`${file}: the chat template cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** The special tokens that templates of a model's directory may use, by the names that they have there. */
export async function loadSpecialTokens(directory: string): Promise<Readonly<Record<string, string>>> {
  const config = (await readObjectIfThere(directory, 'tokenizer_config.json')) as Fields | undefined;
  const map = (await readObjectIfThere(directory, 'special_tokens_map.json')) as Fields | undefined;
  return { ...specialTokensOf(map), ...specialTokensOf(config) };
}

/** What a template reads. */
export function templateItems(
  specialTokens: Readonly<Record<string, string>>,
  messages: readonly ChatMessage[],
  opensAnswer: boolean,
): Record<string, unknown> {
  return { ...specialTokens, ...NOTHING_ELSE, messages, add_generation_prompt: opensAnswer };
}

function defaultTemplate(templates: unknown): string | undefined {
  if (typeof templates === 'string') return templates;
  if (!Array.isArray(templates)) return undefined;
  const named = templates.filter(isObject) as { name?: unknown; template?: unknown }[];
  const found = named.find(({ name }) => name === 'default')?.template;
  return typeof found === 'string' ? found : undefined;
}

/** A token is written as its text, or as an object that has it as `content`. */
function specialTokensOf(fields: Fields = {}): Record<string, string> {
  const entries = SPECIAL_TOKENS.flatMap((name) => {
    const value = fields[name];
    const text = isObject(value) ? (value as { content?: unknown }).content : value;
    return typeof text === 'string' ? [[name, text] as const] : [];
  });
  return Object.fromEntries(entries);
}

function render(template: { render(items: Record<string, unknown>): string }, items: Record<string, unknown>): string {
  try {
    return template.render(items);
  } catch (error) {
    throw new ChatTemplateError(messageOf(error), { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
