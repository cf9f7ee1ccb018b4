import path from 'node:path';
import fs from 'node:fs/promises';

import { replaceFile } from '../disk/durable.js';
import { AdapterDirectoryError, readAdapterDirectory } from '../prefix/adapter/directory.js';
import { readAdapter } from '../prefix/adapter/read.js';
import { type AdapterFiles, CONFIG_FILE, MODEL_FILE, PREFIX_TENSOR } from '../prefix/adapter/format.js';
import { type BaseModel, queryHeadsOf, SELF, selfKv, selfSite } from '../prefix/kv.js';
import { kvAdapter, sitesAdapter } from '../prefix/adapter/kv-file.js';
import { readSitesAdapter } from '../prefix/adapter/read-sites.js';
import { siteLengths, sitesKv } from '../prefix/adapter/sites-tensors.js';
import { encodeSafetensors } from '../safetensors/index.js';
import { TuningError } from './errors.js';
import type { Method, TunedShape } from './method.js';
import type { SiteRows } from './training/training-model.js';

/**
 * The adapter's two files: those that PEFT loads, or, of an encoder-decoder, rows at its sites. An infix notes its placement, which PEFT
 * does not know and leaves alone.
 */
export function adapterFiles(
  { method, length, sites }: Omit<TunedShape, 'mlp'>,
  rows: SiteRows,
  base: BaseModel,
): AdapterFiles {
  if (sites !== undefined) return sitesAdapter(sitesKv(rows, base), base);
  const own = rows.get(SELF) as Float32Array;
  if (method === 'embedding') return softPrompt(own, length, base);
  const files = kvAdapter(selfKv(length, own), base);
  if (method === 'prefix') return files;
  const config = JSON.parse(new TextDecoder().decode(files.config)) as Record<string, unknown>;
  return { ...files, config: encodeJson({ ...config, placement: 'infix' }) };
}

function softPrompt(rows: Float32Array, length: number, base: BaseModel): AdapterFiles {
  const site = selfSite(base);
  const config = {
    base_model_name_or_path: base.id,
    inference_mode: true,
    num_attention_heads: queryHeadsOf(site),
    num_layers: site.layers,
    num_transformer_submodules: 1,
    num_virtual_tokens: length,
    peft_type: 'PROMPT_TUNING',
    prompt_tuning_init: 'RANDOM',
    task_type: 'CAUSAL_LM',
    token_dim: base.width,
  };
  const model = encodeSafetensors({ [PREFIX_TENSOR]: { shape: [length, base.width], data: rows } });
  return { config: encodeJson(config), model };
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** Puts the files into `directory`, each by a rename: a reader finds an old file or a whole new one. */
export async function writeAdapter(directory: string, { config, model }: AdapterFiles): Promise<void> {
  await fs.mkdir(directory, { recursive: true });
  await replaceFile(path.join(directory, MODEL_FILE), model);
  await replaceFile(path.join(directory, CONFIG_FILE), config);
}

/** An adapter as training knows it. */
export interface TunedAdapter {
  readonly method: Method;
  /** Virtual tokens P; of an encoder-decoder, those of the site that has most. */
  readonly length: number;
  /** Virtual tokens at each site of an encoder-decoder that has some; undefined for a decoder-only model. */
  readonly sites?: Readonly<Record<string, number>> | undefined;
  readonly rows: SiteRows;
}

/** Reads the two files. Throws `TuningError` naming the directory where they cannot be read or do not fit the model. */
export async function loadAdapter(directory: string, base: BaseModel): Promise<TunedAdapter> {
  try {
    const files = await readAdapterDirectory(directory);
    if (base.sourceLength !== undefined) return sitesIn(files, base);
    const { kind, placement, length, rows } = readAdapter(files, base);
    return { method: kind === 'soft_prompt' ? 'embedding' : placement, length, rows: new Map([[SELF, rows]]) };
  } catch (error) {
    const problem = error instanceof AdapterDirectoryError ? error.problem : (error as Error).message;
    throw new TuningError('adapter', problem, { where: directory, cause: error });
  }
}

function sitesIn(files: AdapterFiles, base: BaseModel): TunedAdapter {
  const { length, kv } = readSitesAdapter(files, base);
  if (kv.shift !== 0 || kv.sourceEmbeddings !== undefined) {
    throw new Error('a file that PEFT wrote for an encoder-decoder; only rows at sites can be trained or measured');
  }
  return { method: 'prefix', length, sites: siteLengths(kv, base), rows: kv.rows };
}
