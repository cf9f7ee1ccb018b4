import { join } from 'node:path';

import { hubDownload } from '../lib/hub-download.js';
import { readJsonObject, readText } from '../lib/text-file.js';
import { TokenizerError } from './tokenizer-error.js';

/** The text of a file; undefined when there is none of that name. Throws `TokenizerError` for what is no text, saying what it is. */
export async function readTextIfThere(directory: string, name: string): Promise<string | undefined> {
  const read = await readText(join(directory, name));
  return read?.problem === undefined ? read?.value : refuseFile(directory, name, read.problem);
}

/** The object in a JSON file; undefined when there is none of that name. Throws `TokenizerError` for anything else. */
export async function readObjectIfThere(directory: string, name: string): Promise<object | undefined> {
  const read = await readJsonObject(join(directory, name));
  return read?.problem === undefined ? read?.value : refuseFile(directory, name, read.problem);
}

/** Refuses a file that is not what its name says, with the line that fetches it from Hugging Face's Hub. */
function refuseFile(directory: string, name: string, what: string): never {
  throw new TokenizerError(`${join(directory, name)} is ${what}; \`${hubDownload(directory, name)}\` fetches it again`);
}
