/** A tokenizer that cannot be used, or that would encode texts wrongly. The message names the field and, once it is known, the file. */
export class TokenizerError extends Error {
  override readonly name = 'TokenizerError';
}

/** Refuses a field of a tokenizer's file. */
export function refuseField(field: string, problem: string): never {
  throw new TokenizerError(`${field} ${problem}`);
}

/** What helps whoever has a tokenizer of another kind. */
export const BY_IDS =
  "in a copy of the directory without the tokenizer's files the model is served by token ids, which you encode and decode with Transformers";
