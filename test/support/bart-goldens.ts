import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { DECODER, type PrefixKv } from '../../src/prefix/kv.js';
import { type FloatTensor, readTensors } from './goldens.js';

/** They are not in the repository: tests that need them are left out where they are missing. */
const root = fileURLToPath(new URL('../../../shared/goldens/bart', import.meta.url));

/** One case of `expected/MODEL.greedy.json`. */
export interface BartGreedyCase {
  readonly id: string;
  /** Null: the base model alone. */
  readonly adapter: string | null;
  /** The encoder's input as it is. */
  readonly source: number[];
  /** What follows the decoder's start token. */
  readonly ids: number[];
  readonly logprobs: number[];
}

/** What Transformers and PEFT computed for one BART. */
export interface BartGolden {
  readonly directory: string;
  readonly cases: readonly BartGreedyCase[];
  /** Ids of cases that are to be computed together. */
  readonly batches: readonly (readonly string[])[];
  /** `[cases, vocabulary]`: logits that choose the first new token. */
  readonly firstLogits: FloatTensor;
  /** A case's prefix; undefined for the base model. */
  prefix(adapter: string | null): PrefixKv | undefined;
}

export function bartGoldenNames(): string[] {
  return fs.existsSync(root) ? fs.readdirSync(path.join(root, 'models')).sort() : [];
}

export function bartGolden(name: string): BartGolden {
  const expected = (file: string): string => path.join(root, 'expected', `${name}.${file}`);
  const greedy = JSON.parse(fs.readFileSync(expected('greedy.json'), 'utf8')) as Pick<BartGolden, 'cases' | 'batches'>;
  const directory = path.join(root, 'models', name);
  const config = JSON.parse(fs.readFileSync(path.join(directory, 'config.json'), 'utf8')) as Record<string, number>;
  return {
    directory,
    ...greedy,
    firstLogits: readTensors(expected('safetensors'))['first_logits'] as FloatTensor,
    prefix: (adapter) =>
      adapter === null ? undefined : readPrefix(path.join(root, 'adapters', name, adapter), config),
  };
}

/** What an adapter means, by the format's definition and by PEFT's forward pass. */
function readPrefix(directory: string, config: Record<string, number>): PrefixKv {
  const tensors = readTensors(path.join(directory, 'adapter_model.safetensors'));
  const own = tensors['prompt_embeddings'];
  if (own === undefined) {
    const sites = Object.entries(tensors).map(([key, { data }]): [string, Float32Array] => [
      key.split('.')[0] as string,
      data,
    ]);
    const length = tensors['decoder.prompt_embeddings']?.shape[0] ?? 0;
    return { length, shift: 0, rows: new Map(sites) };
  }
  const { d_model: width = 0, encoder_layers: pairs = 0, decoder_layers: layers = 0 } = config;
  const [rows, columns] = own.shape as [number, number];
  if (columns === width) {
    return { length: 0, shift: 0, rows: new Map(), sourceEmbeddings: own.data.slice(0, (rows / 2) * width) };
  }
  const data = new Float32Array(rows * layers * 2 * width);
  for (let row = 0; row < rows; row++) {
    for (let layer = 0; layer < layers; layer++) {
      const from = row * columns + ((2 * layer) % pairs) * 2 * width;
      data.set(own.data.subarray(from, from + 2 * width), (row * layers + layer) * 2 * width);
    }
  }
  return { length: rows, shift: rows, rows: new Map([[DECODER, data]]) };
}
