import fs from 'node:fs/promises';

import { isErrno } from '../../disk/durable.js';
import type { BaseModel } from '../../prefix/kv.js';
import { loadAdapter } from '../adapter-files.js';
import { TuningError } from '../errors.js';
import type { Method } from '../method.js';
import { TUNE_DEFAULTS } from '../settings.js';
import type { TokenEncoder } from '../../tokenizer/token-encoder.js';
import type { TrainingModel } from '../training/training-model.js';

export interface StartOptions {
  /** `random`, or words. */
  readonly init: string;
  /** Directory of an adapter to go on from, instead of `init`. */
  readonly adapter: string | undefined;
  readonly method: Method;
  /** Virtual tokens asked for; those of the words or the adapter unless given, else the default. */
  readonly length: number | undefined;
  readonly base: BaseModel;
  readonly encoder: TokenEncoder;
}

/** The start of training: `rows` `[length, columns]`, or random values where there are none. */
export interface Start {
  readonly length: number;
  readonly rows: Float32Array | undefined;
}

/**
 * Finds the rows that training starts from: an adapter's; or the activations of words (section 7.4), for embeddings those of the
 * words, repeated or cut to the length. Throws `TuningError` for an adapter of another kind or length.
 */
export async function startRows(model: TrainingModel, options: StartOptions): Promise<Start> {
  const { init, adapter, length } = options;
  if (adapter !== undefined) return adapterRows(adapter, options);
  if (init === 'random') return { length: length ?? TUNE_DEFAULTS.length, rows: undefined };
  return wordRows(model, options);
}

/** Reads the command line's `init`: the directory of an adapter if there is one of that name, else words or `random`. */
export async function readInit(init: string): Promise<{ readonly init: string; readonly adapter?: string }> {
  return init !== 'random' && (await isDirectory(init)) ? { init: 'random', adapter: init } : { init };
}

/** Whether there is a directory of that name; words may be longer than any name. */
export async function isDirectory(name: string): Promise<boolean> {
  try {
    return (await fs.stat(name)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return false;
    throw error;
  }
}

async function adapterRows(directory: string, { method, length, base }: StartOptions): Promise<Start> {
  const adapter = await loadAdapter(directory, base);
  if (adapter.method !== method) {
    throw new TuningError('init', `the adapter was trained with method ${adapter.method}, not ${method}`);
  }
  if (length !== undefined && length !== adapter.length) {
    throw new TuningError('length', `${length}, but the adapter has ${adapter.length} virtual tokens`);
  }
  return adapter;
}

async function wordRows(model: TrainingModel, { init, method, length, base, encoder }: StartOptions): Promise<Start> {
  const words = encoder.encode(init);
  if (words.length === 0) throw new TuningError('init', 'no words');
  const tokens = Array.from({ length: length ?? words.length }, (_, p) => words[p % words.length] as number);
  if (tokens.length > base.contextLength) throw new TuningError('init', `${tokens.length} tokens exceed the context`);
  if (method !== 'embedding') return { length: tokens.length, rows: await model.activations(tokens) };
  const rows = new Float32Array(tokens.length * base.width);
  tokens.forEach((id, p) =>
    rows.set(model.tokenEmbeddings.subarray(id * base.width, (id + 1) * base.width), p * base.width),
  );
  return { length: tokens.length, rows };
}
