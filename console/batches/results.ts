/** One result of a batch, as a person reads it. */
export interface Result {
  readonly customId: string;
  /** The answer's texts, or why there is none. */
  readonly texts: readonly string[];
}

interface ResultLine {
  readonly custom_id: string;
  readonly response: {
    readonly body: {
      readonly choices?: readonly { readonly text?: string; readonly message?: { readonly content: string | null } }[];
      readonly error?: { readonly message: string };
    };
  } | null;
  readonly error: { readonly message: string } | null;
}

/** Reads a line of an output or error file. */
export function readResult(line: string): Result {
  const { custom_id: customId, response, error } = JSON.parse(line) as ResultLine;
  const problem = error?.message ?? response?.body.error?.message;
  if (problem !== undefined) return { customId, texts: [problem] };
  const choices = response?.body.choices ?? [];
  return { customId, texts: choices.map(({ text, message }) => text ?? message?.content ?? '') };
}
