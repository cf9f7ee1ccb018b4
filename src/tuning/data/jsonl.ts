import type { TextOrIds, TrainingExample } from './example.js';
import { yieldBetween } from '../../lib/yield-between.js';
import { Field } from './field.js';
import { type Line, linesOf } from './lines.js';

/**
 * Lines of `{"prompt", "completion", "category"?}`; prompt and completion are each a string or an array of token ids. Throws the
 * signal's reason.
 */
export function parseJsonl(text: string, file: string, signal?: AbortSignal): Promise<TrainingExample[]> {
  return yieldBetween(linesOf(text, file), parseLine, signal);
}

function parseLine({ line, where }: Line): TrainingExample {
  const fields = Field.parse(line, where);
  if (fields.has('messages')) throw fields.refuse('messages of a chat, instead of prompt and completion');
  return {
    source: textOrIds(fields.get('prompt')),
    targets: [textOrIds(fields.get('completion'))],
    category: fields.has('category') ? fields.get('category').string() : undefined,
    where,
  };
}

function textOrIds(field: Field): TextOrIds {
  const { value } = field;
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every(Number.isInteger)) return value as number[];
  throw field.refuse('neither a string nor an array of token ids');
}
