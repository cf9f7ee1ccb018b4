import fs from 'node:fs/promises';
import path from 'node:path';

import { hubDownload } from '../../lib/hub-download.js';
import { readJsonObject } from '../../lib/text-file.js';
import type { Json } from '../architecture.js';
import { CheckpointError } from '../checkpoint-error.js';
import { fetchLine, whatHelps } from './missing-files.js';
import { tokenizerFiles } from './tokenizer-files.js';

const INDEX_FILE = 'model.safetensors.index.json';
const SINGLE_FILE = 'model.safetensors';

/** Names of the files that a compiled model depends on. Throws `CheckpointError` for what is missing, and for what is no directory. */
export async function sourceFiles(directory: string): Promise<string[]> {
  const present = await listFiles(directory);
  if (!present.has('config.json')) await refuseMissing(directory, 'config.json');
  const configs = ['config.json', 'generation_config.json'].filter((file) => present.has(file));
  return [...configs, ...tokenizerFiles(present), ...(await findWeightFiles(directory))];
}

/** Names of the files that hold the weights. Throws `CheckpointError` for one that is missing. */
export async function findWeightFiles(directory: string): Promise<string[]> {
  const present = await listFiles(directory);
  if (present.has(SINGLE_FILE)) return [SINGLE_FILE];
  if (!present.has(INDEX_FILE)) return refuseMissing(directory, SINGLE_FILE);
  const index = await readJson(directory, INDEX_FILE);
  const map = index['weight_map'];
  if (typeof map !== 'object' || map === null) {
    throw new CheckpointError(`${path.join(directory, INDEX_FILE)}: weight_map is not an object`);
  }
  const files = [...new Set(Object.values(map) as unknown[])].sort();
  return files.map((file) => {
    if (typeof file === 'string' && present.has(file)) return file; // a name in this directory, so no path out of it
    if (typeof file !== 'string' || path.basename(file) !== file) {
      throw new CheckpointError(`${INDEX_FILE}: ${JSON.stringify(file)} is not a file of the checkpoint`);
    }
    throw new CheckpointError(
      `${directory}: the shard ${file}, which ${INDEX_FILE} names, is missing; ${fetchLine(directory, file)}`,
    );
  });
}

/** A JSON object of the checkpoint. Throws `CheckpointError` that says what the file is instead. */
export async function readJson(directory: string, file: string): Promise<Json> {
  return (await readJsonIfThere(directory, file)) ?? (await refuseMissing(directory, file));
}

/** As `readJson`; undefined where there is no such file. */
export async function readJsonIfThere(directory: string, file: string): Promise<Json | undefined> {
  const read = await readJsonObject(path.join(directory, file));
  if (read?.problem === undefined) return read?.value;
  throw new CheckpointError(`${path.join(directory, file)} is ${read.problem}; ${fetchLine(directory, file)}`);
}

async function listFiles(directory: string): Promise<ReadonlySet<string>> {
  const names = await fs.readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') {
      throw new CheckpointError(`${directory} is a file: name the directory that holds it and config.json`);
    }
    if (error.code !== 'ENOENT') throw error;
    const fetch = hubDownload(directory);
    throw new CheckpointError(`${directory} does not exist; \`${fetch}\` puts a model of Hugging Face's Hub there`);
  });
  return new Set(names);
}

async function refuseMissing(directory: string, file: string): Promise<never> {
  throw new CheckpointError(`${directory}: ${file} is missing${await whatHelps(directory, file)}`);
}
