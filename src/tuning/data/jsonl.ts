import { yieldBetween } from '../../lib/yield-between.js';
import { type ConversationForm, readConversation } from './conversation.js';
import type { TextOrIds, TrainingExample } from './example.js';
import { Field } from './field.js';
import { type Line, linesOf } from './lines.js';
import { otherShape } from './other-shapes.js';

interface JsonlOptions {
  /** How the model's chat template writes conversations; undefined or left out: there is none, and they are refused. */
  readonly conversation?: ConversationForm | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lines of `{"prompt", "completion", "category"?}`; prompt and completion are each a string or an array of token ids. Of a model with a chat
 * template, lines of `{"messages", "category"?}` too. Throws the signal's reason.
 */
export function parseJsonl(
  text: string,
  file: string,
  { conversation, signal }: JsonlOptions = {},
): Promise<TrainingExample[]> {
  return yieldBetween(linesOf(text, file), (line) => parseLine(line, conversation), signal);
}

function parseLine({ line, where }: Line, conversation: ConversationForm | undefined): TrainingExample {
  const fields = Field.parse(line, where);
  if (conversation !== undefined && fields.has('messages')) return readConversation(fields, conversation);
  const [prompt, completion] = [fields.get('prompt'), fields.get('completion')];
  if (fields.has('messages') || !isTextOrIds(prompt.value) || !isTextOrIds(completion.value)) {
    const other = otherShape(fields);
    if (other !== undefined) throw other;
  }
  return {
    source: textOrIds(prompt),
    targets: [textOrIds(completion)],
    category: fields.has('category') ? fields.get('category').string() : undefined,
    where,
  };
}

function textOrIds(field: Field): TextOrIds {
  const { value } = field;
  if (isTextOrIds(value)) return value;
  const wanted = 'a line has prompt and completion, each a string or an array of token ids';
  throw field.refuse(value === undefined ? `missing: ${wanted}` : 'neither a string nor an array of token ids');
}

function isTextOrIds(value: unknown): value is TextOrIds {
  return typeof value === 'string' || (Array.isArray(value) && value.every(Number.isInteger));
}
