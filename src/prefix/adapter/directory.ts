import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists } from '../../disk/durable.js';
import { type AdapterFiles, CONFIG_FILE, MODEL_FILE, TEMPLATE_FILE } from './format.js';
import { conversion, PICKLE_FILE } from './pickle.js';

/** A directory that is not an adapter's. The message says what to give or to do instead. */
export class AdapterDirectoryError extends Error {
  override readonly name = 'AdapterDirectoryError';

  constructor(
    readonly directory: string,
    readonly problem: string,
  ) {
    super(`${directory}: ${problem}`);
  }
}

/** Most directories that an error proposes. */
const PROPOSED = 3;

/** Reads the files of an adapter, its chat template among them if there is one. Throws `AdapterDirectoryError` where one is missing, and errors of `fs`. */
export async function readAdapterDirectory(directory: string): Promise<AdapterFiles> {
  const entries = await entriesOf(directory);
  const [config, model] = [CONFIG_FILE, MODEL_FILE].map((file) => entries.includes(file));
  if (config === true && model === true) {
    return {
      config: await fs.readFile(path.join(directory, CONFIG_FILE)),
      model: await fs.readFile(path.join(directory, MODEL_FILE)),
      template: entries.includes(TEMPLATE_FILE) ? await fs.readFile(path.join(directory, TEMPLATE_FILE)) : undefined,
    };
  }
  throw new AdapterDirectoryError(directory, await problemOf(directory, entries));
}

async function entriesOf(directory: string): Promise<string[]> {
  const stat = await ifExists(fs.stat(directory));
  if (stat === undefined) throw new AdapterDirectoryError(directory, 'no such directory');
  if (stat.isDirectory()) return fs.readdir(directory);
  throw new AdapterDirectoryError(directory, `a file; give the directory that it is in, ${path.dirname(directory)}`);
}

async function problemOf(directory: string, entries: readonly string[]): Promise<string> {
  const missing = [CONFIG_FILE, MODEL_FILE].filter((file) => !entries.includes(file));
  if (entries.includes(PICKLE_FILE) && missing.includes(MODEL_FILE)) {
    const lines = conversion(`${directory.replace(/[/\\]+$/, '')}/`);
    const what = `${PICKLE_FILE} is a pickle, which can run code when it is read; write ${MODEL_FILE} beside it, in Python:`;
    return [what, ...lines].join('\n  ');
  }
  const nested = await adaptersBelow(directory, entries);
  if (nested.length > 0) {
    const others = nested.length > PROPOSED ? `, or one of ${nested.length - PROPOSED} others` : '';
    return `no ${missing.join(' and no ')} in it; did you mean ${nested.slice(0, PROPOSED).join(', ')}${others}?`;
  }
  return `no ${missing.join(' and no ')} in it; give the directory that PEFT's save_pretrained or preamble tune wrote`;
}

/**
 * Directories of adapters in this one: PEFT saves a named adapter below the directory that it is given, and Transformers' Trainer one for
 * each checkpoint. The checkpoint of the last step comes first.
 */
async function adaptersBelow(directory: string, entries: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    entries.map(async (entry) => {
      const below = path.join(directory, entry);
      return (await isFile(path.join(below, CONFIG_FILE))) ? [below] : [];
    }),
  );
  const step = (below: string): number => Number(/checkpoint-(\d+)$/.exec(below)?.[1] ?? Infinity);
  return found.flat().sort((a, b) => step(b) - step(a) || (a < b ? -1 : 1));
}

async function isFile(file: string): Promise<boolean> {
  try {
    return (await fs.stat(file)).isFile();
  } catch {
    return false; // whatever it is, it is not proposed
  }
}
