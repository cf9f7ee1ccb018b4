import type { TextOrIds, TrainingExample } from './example.js';
import { yieldBetween } from '../../lib/yield-between.js';
import { Field } from './field.js';
import { type Line, linesOf } from './lines.js';
import { otherShape } from './other-shapes.js';

/**
 * Lines of `{"prompt", "completion", "category"?}`; prompt and completion are each a string or an array of token ids. Throws the
 * signal's reason.
 */
export function parseJsonl(text: string, file: string, signal?: AbortSignal): Promise<TrainingExample[]> {
  return yieldBetween(linesOf(text, file), parseLine, signal);
}

function parseLine({ line, where }: Line): TrainingExample {
  const fields = Field.parse(line, where);
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
  throw field.refuse('neither a string nor an array of token ids');
}

function isTextOrIds(value: unknown): value is TextOrIds {
  return typeof value === 'string' || (Array.isArray(value) && value.every(Number.isInteger));
}
