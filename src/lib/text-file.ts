import { readFile } from 'node:fs/promises';

import { fileKind } from './file-kind.js';

/** What a file holds, or what it is instead: the end of a sentence that begins with its name and `is`. */
type Read<T> = { readonly value: T; readonly problem?: never } | { readonly problem: string; readonly value?: never };

/** Reads a text; undefined when there is no such file. What by its start is no text has a `problem`. Throws the errors of `fs`. */
export async function readText(path: string): Promise<Read<string> | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  const kind = fileKind(bytes);
  return kind ? { problem: `${kind.what}: ${kind.help}` } : { value: bytes.toString('utf8') };
}

/** Reads a JSON object, as `readText` reads a text; anything else has a `problem`. */
export async function readJsonObject(path: string): Promise<Read<Readonly<Record<string, unknown>>> | undefined> {
  const text = await readText(path);
  if (text?.value === undefined) return text;
  try {
    const value: unknown = JSON.parse(text.value);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { problem: 'not a JSON object' };
    return { value: value as Readonly<Record<string, unknown>> };
  } catch {
    return { problem: 'not JSON: it was cut off or changed' };
  }
}
