import { invalidValue } from '../errors.js';

/** @throws CompletionError naming the field for an id that is not in the vocabulary */
export function refuseUnknownIds(field: string, ids: readonly number[], vocabularySize: number): void {
  const unknown = ids.find((id) => id >= vocabularySize);
  if (unknown === undefined) return;
  const message = `'${field}': token ${unknown} is not in the vocabulary, whose ids are 0 to ${vocabularySize - 1}.`;
  throw invalidValue(field, message);
}
