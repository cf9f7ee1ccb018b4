import { ApiError } from '../errors.js';

/** @throws ApiError that names the field when an id of it is not in the vocabulary */
export function refuseUnknownIds(field: string, ids: readonly number[], vocabularySize: number): void {
  const unknown = ids.find((id) => id >= vocabularySize);
  if (unknown === undefined) return;
  const message = `'${field}': token ${unknown} is not in the vocabulary, whose ids are 0 to ${vocabularySize - 1}.`;
  throw new ApiError('invalid_value', message, { param: field });
}
