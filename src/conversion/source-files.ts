import fs from 'node:fs/promises';
import path from 'node:path';

import type { ConversionSource } from './convert.js';
import { ConversionError } from './errors.js';
import { type Fields, parseFields } from './fields.js';
import { readSafetensorsFile } from './tensors.js';
import { readTorchFile } from './torch/checkpoint.js';

/** Names that the libraries give to the file with the tensors. */
const TENSOR_FILES = ['pytorch_adapter.bin', 'adapter.safetensors', 'pytorch_model.bin', 'model.safetensors'];
/** Node.js reads no more at once. A prefix of 200 virtual tokens for the largest BART takes 250 MB with its MLPs. */
const MAX_FILE_BYTES = 2 ** 31 - 1;
const MAX_CONFIG_BYTES = 1 << 20;

/** Content of the files of another program's prefix. */
export interface SourceFiles extends Omit<ConversionSource, 'base'> {
  /** The real path of the directory that they are in. */
  readonly directory: string;
}

/**
 * Reads the files of another program's prefix.
 * @param source the file with the tensors, or a directory that has one of them; the configs lie beside it
 * @throws ConversionError, and errors of `fs`
 */
export async function readSourceFiles(source: string): Promise<SourceFiles> {
  const file = await tensorFile(source);
  const bytes = await readLimited(file, MAX_FILE_BYTES);
  const tensors = naming(file, () => (file.endsWith('.safetensors') ? readSafetensorsFile : readTorchFile)(bytes));
  const directory = await fs.realpath(path.dirname(file));
  const config = (name: string): Promise<Fields | undefined> => readConfig(path.join(directory, name));
  return {
    directory,
    tensors,
    adapterConfig: await config('adapter_config.json'),
    modelConfig: await config('config.json'),
  };
}

/** Runs a part of the conversion. Its errors name the file or the directory. */
export function naming<Result>(name: string, convert: () => Result): Result {
  try {
    return convert();
  } catch (error) {
    if (!(error instanceof ConversionError)) throw error;
    throw new ConversionError(`${name}: ${error.message}`, { cause: error });
  }
}

async function tensorFile(source: string): Promise<string> {
  if (!(await fs.stat(source)).isDirectory()) return source;
  const names = await fs.readdir(source);
  const [found, another] = TENSOR_FILES.filter((name) => names.includes(name));
  if (found === undefined) throw new ConversionError(`${source}: has none of ${TENSOR_FILES.join(', ')}`);
  if (another !== undefined)
    throw new ConversionError(`${source}: has ${found} and ${another}; name the one that is meant`);
  return path.join(source, found);
}

async function readConfig(file: string): Promise<Fields | undefined> {
  const isThere = await fs.stat(file).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const bytes = await readLimited(file, MAX_CONFIG_BYTES);
  return naming(file, () => parseFields(bytes));
}

async function readLimited(file: string, limit: number): Promise<Uint8Array> {
  const { size } = await fs.stat(file);
  if (size > limit) throw new ConversionError(`${file}: ${size} bytes; at most ${limit} are accepted`);
  return fs.readFile(file);
}
