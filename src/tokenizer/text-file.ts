import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { fileKind } from '../lib/file-kind.js';
import { TokenizerError } from './tokenizer-error.js';

/** The text of a file; undefined when there is none of that name. Throws `TokenizerError` for what is no text, saying what it is. */
export async function readTextIfThere(directory: string, name: string): Promise<string | undefined> {
  const bytes = await readFile(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  const kind = fileKind(bytes);
  if (kind) refuseFile(directory, name, `is ${kind.what}: ${kind.help}`);
  return bytes.toString('utf8');
}

/** The object in a JSON file; undefined when there is none of that name. Throws `TokenizerError` for anything else. */
export async function readObjectIfThere(directory: string, name: string): Promise<object | undefined> {
  const text = await readTextIfThere(directory, name);
  if (text === undefined) return undefined;
  const value = parseJson(text);
  if (value === undefined) refuseFile(directory, name, 'is not JSON: it was cut off or changed');
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  return refuseFile(directory, name, 'is not a JSON object');
}

/** Undefined for a text that is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Refuses a file that is not what its name says, with the line that fetches it from Hugging Face's Hub. */
function refuseFile(directory: string, name: string, problem: string): never {
  const fetch = `hf download OWNER/NAME ${name} --local-dir ${directory}`;
  throw new TokenizerError(`${join(directory, name)} ${problem}; \`${fetch}\` fetches it again`);
}
