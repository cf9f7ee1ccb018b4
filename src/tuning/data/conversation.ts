import { type ChatMessage, type ChatTemplate, ChatTemplateError } from '../../tokenizer/chat-template.js';
import type { TrainingExample } from './example.js';
import type { Field } from './field.js';

/** How conversations become prompts and completions. */
export interface ConversationForm {
  readonly template: ChatTemplate;
  /** Text of the end token, which every completion gets: it is not learned twice where the template writes it too. */
  readonly end: string;
}

/**
 * A line of `{"messages", "category"?}`: the assistant's last message is learned behind what the model's template makes of those before it, as a request
 * to complete them has it. Throws `DataError` naming the field.
 */
export function readConversation(line: Field, { template, end }: ConversationForm): TrainingExample {
  const list = line.get('messages');
  const messages = list.items().map(readMessage);
  if (messages.at(-1)?.role !== 'assistant')
    throw list.refuse('a conversation whose last message is not the assistant’s');
  try {
    const source = template.render(messages.slice(0, -1), true);
    const whole = template.render(messages, false);
    if (!whole.startsWith(source)) {
      throw list.refuse(
        'not written by the chat template as a prompt and what follows it; write lines of prompt and completion',
      );
    }
    return {
      source,
      isRendered: true,
      targets: [withoutEnd(whole.slice(source.length), end)],
      category: line.has('category') ? line.get('category').string() : undefined,
      where: line.where,
    };
  } catch (error) {
    if (!(error instanceof ChatTemplateError)) throw error;
    throw list.refuse(`refused by the model's chat template: ${error.message}`);
  }
}

function readMessage(field: Field): ChatMessage {
  const message = { role: field.get('role').string(), content: field.get('content').string() };
  return field.has('name') ? { ...message, name: field.get('name').string() } : message;
}

function withoutEnd(text: string, end: string): string {
  const trimmed = text.trimEnd();
  return end !== '' && trimmed.endsWith(end) ? trimmed.slice(0, -end.length) : text;
}
