import fs from 'node:fs/promises';

import { isErrno } from '../../disk/durable.js';
import { type BaseModel, SELF } from '../../prefix/kv.js';
import { loadAdapter } from '../adapter-files.js';
import { TuningError } from '../errors.js';
import { type Method, trainedSites, tunedShape, type TunedShape } from '../method.js';
import { TUNE_DEFAULTS } from '../settings.js';
import type { TokenEncoder } from '../../tokenizer/token-encoder.js';
import type { SiteRows, TrainingModel } from '../training/training-model.js';

export interface StartOptions {
  /** `random`, or words. */
  readonly init: string;
  /** Directory of an adapter to go on from, instead of `init`. */
  readonly adapter: string | undefined;
  readonly method: Method;
  /** Sites asked for: see `TuneSettings`. */
  readonly sites?: readonly string[] | undefined;
  readonly mlp: number;
  /** Virtual tokens asked for, at each site; those of the words or the adapter unless given, else the default. */
  readonly length: number | undefined;
  readonly base: BaseModel;
  readonly encoder: TokenEncoder;
}

/** The start of training: rows of each trained site, or random values where there are none. */
export interface Start {
  readonly shape: TunedShape;
  readonly rows: SiteRows | undefined;
}

/**
 * Finds the rows that training starts from: an adapter's; or the activations of words (section 7.4), for embeddings those of the
 * words, repeated or cut to the length. An encoder-decoder's two sides read the words both, and nothing else. Throws `TuningError` for
 * settings that do not fit the model, and for an adapter of another kind, length or other sites.
 */
export async function startRows(model: TrainingModel, options: StartOptions): Promise<Start> {
  const { init, adapter, length, base } = options;
  const random = tunedShape(base, options, length ?? TUNE_DEFAULTS.length);
  if (adapter !== undefined) return adapterRows(adapter, options);
  return init === 'random' ? { shape: random, rows: undefined } : wordRows(model, options);
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

async function adapterRows(directory: string, { method, length, base, sites, mlp }: StartOptions): Promise<Start> {
  const adapter = await loadAdapter(directory, base);
  if (adapter.method !== method) {
    throw new TuningError('init', `the adapter was trained with method ${adapter.method}, not ${method}`);
  }
  const lengths = Object.values(adapter.sites ?? { [SELF]: adapter.length });
  if (length !== undefined && lengths.some((own) => own !== length)) {
    throw new TuningError('length', `${length}, but the adapter has ${lengths.join(', ')} virtual tokens`);
  }
  const own = Object.keys(adapter.sites ?? {});
  const asked = sites && trainedSites(base, { method, sites });
  if (asked !== undefined && asked.join() !== own.join()) {
    throw new TuningError('sites', `${asked.join(', ')}, but the adapter has rows at ${own.join(', ')}`);
  }
  const { rows, ...shape } = adapter;
  return { shape: { ...shape, mlp }, rows };
}

async function wordRows(model: TrainingModel, options: StartOptions): Promise<Start> {
  const { init, method, length, base, encoder } = options;
  if (encoder.textProblem !== undefined) throw new TuningError('init', `words, but ${encoder.textProblem}`);
  const words = encoder.encode(init);
  if (words.length === 0) throw new TuningError('init', 'no words');
  const tokens = Array.from({ length: length ?? words.length }, (_, p) => words[p % words.length] as number);
  const limit = Math.min(base.contextLength, base.sourceLength ?? Infinity);
  if (tokens.length > limit) throw new TuningError('init', `${tokens.length} tokens exceed the context of ${limit}`);
  const shape = tunedShape(base, options, tokens.length);
  if (method === 'embedding') return { shape, rows: new Map([[SELF, embeddingsOf(tokens, model, base)]]) };
  const rows = await model.activations(tokens);
  return { shape, rows: new Map([...rows].filter(([site]) => shape.sites === undefined || site in shape.sites)) };
}

/** [tokens, width]. */
function embeddingsOf(
  tokens: readonly number[],
  { tokenEmbeddings }: TrainingModel,
  { width }: BaseModel,
): Float32Array {
  const rows = new Float32Array(tokens.length * width);
  tokens.forEach((id, p) => rows.set(tokenEmbeddings.subarray(id * width, (id + 1) * width), p * width));
  return rows;
}
