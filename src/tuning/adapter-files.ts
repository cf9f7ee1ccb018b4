import path from 'node:path';
import fs from 'node:fs/promises';

import { replaceFile } from '../disk/durable.js';
import { readAdapter } from '../prefix/adapter/read.js';
import { type AdapterFiles, CONFIG_FILE, MODEL_FILE, PREFIX_TENSOR } from '../prefix/adapter/format.js';
import { type BaseModel, selfKv, selfSite } from '../prefix/kv.js';
import { kvAdapter } from '../prefix/adapter/kv-file.js';
import { encodeSafetensors } from '../safetensors/index.js';
import { TuningError } from './errors.js';
import type { Method } from './method.js';

/** The two files that PEFT loads. An infix notes its placement, which PEFT does not know and leaves alone. */
export function adapterFiles(method: Method, rows: Float32Array, length: number, base: BaseModel): AdapterFiles {
  if (method === 'embedding') return softPrompt(rows, length, base);
  const files = kvAdapter(selfKv(length, rows), base);
  if (method === 'prefix') return files;
  const config = JSON.parse(new TextDecoder().decode(files.config)) as Record<string, unknown>;
  return { ...files, config: encodeJson({ ...config, placement: 'infix' }) };
}

function softPrompt(rows: Float32Array, length: number, base: BaseModel): AdapterFiles {
  const { layers, kvHeads } = selfSite(base);
  const config = {
    base_model_name_or_path: base.id,
    inference_mode: true,
    num_attention_heads: kvHeads,
    num_layers: layers,
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
  /** Virtual tokens P. */
  readonly length: number;
  /** `[P, rowWidth]`. */
  readonly rows: Float32Array;
}

/** Reads the two files. Throws `TuningError` naming the directory where they cannot be read or do not fit the model. */
export async function loadAdapter(directory: string, base: BaseModel): Promise<TunedAdapter> {
  try {
    // One after another: of two missing files, the same is named every time.
    const config = await fs.readFile(path.join(directory, CONFIG_FILE));
    const model = await fs.readFile(path.join(directory, MODEL_FILE));
    const { kind, placement, length, rows } = readAdapter({ config, model }, base);
    return { method: kind === 'soft_prompt' ? 'embedding' : placement, length, rows };
  } catch (error) {
    throw new TuningError('adapter', (error as Error).message, { where: directory, cause: error });
  }
}
