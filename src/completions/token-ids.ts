import { invalidValue } from './errors.js';

/** Refuses ids that are not in the vocabulary, by the field's name. */
export function refuseUnknownIds(field: string, ids: readonly number[], vocabularySize: number): void {
  const unknown = ids.find((id) => id >= vocabularySize);
  if (unknown === undefined) return;
  const message = `'${field}': token ${unknown} is not in the vocabulary, whose ids are 0 to ${vocabularySize - 1}.`;
  throw invalidValue(field, message);
}
