import fs from 'node:fs/promises';
import path from 'node:path';

import { hubDownload } from '../../lib/hub-download.js';

/** Ends a message about a file that is not what it should be: the line that fetches it from Hugging Face's Hub. */
export function fetchLine(directory: string, file: string): string {
  return `\`${hubDownload(directory, file)}\` fetches it`;
}

/** Weights in other formats, and how Transformers is told to read them. The first that is there is meant. */
const FORMATS: readonly (readonly [
  RegExp,
  (file: string) => { readonly options?: string; readonly version?: string },
])[] = [
  [/^pytorch_model.*\.bin$/, () => ({})],
  [/^pytorch_model\.bin\.index\.json$/, () => ({})],
  [/\.gguf$/i, (file) => ({ options: `, gguf_file='${file}'` })],
  [/^tf_model\.h5$/, () => ({ options: ', from_tf=True', version: '<5' })],
  [/^flax_model\.msgpack$/, () => ({ options: ', from_flax=True', version: '<5' })],
];
const ADAPTER = 'adapter_config.json';
const SHARD = /^model-\d+-of-\d+\.safetensors$/;

/** Ends a message about a missing file: what the directory holds instead, and what helps. */
export async function whatHelps(directory: string, file: string): Promise<string> {
  const present = (await fs.readdir(directory)).sort();
  const shard = present.find((file) => SHARD.test(file));
  if (shard !== undefined && !present.includes('model.safetensors.index.json')) {
    const index = 'model.safetensors.index.json';
    return `, and so is ${index}, which lists shards such as ${shard}; ${fetchLine(directory, index)}`;
  }
  if (present.includes(ADAPTER)) {
    return `; the directory holds an adapter (${ADAPTER}), not a model: \`npx preamble prefix push ${directory} --name NAME\` uploads it to a server of its base model`;
  }
  const inner = await modelBelow(directory, present);
  if (inner !== undefined) return `; did you mean ${inner}?`;
  return (await conversion(directory, present)) ?? `; ${fetchLine(directory, file)}`;
}

/** The lines that convert other weights with Transformers; undefined where there are none. */
async function conversion(directory: string, present: readonly string[]): Promise<string | undefined> {
  for (const [name, how] of FORMATS) {
    const file = present.find((candidate) => name.test(candidate));
    if (file === undefined) continue;
    const { options = '', version = '' } = how(file);
    const text = await fs.readFile(path.join(directory, 'config.json'), 'utf8').catch(() => '');
    const auto = /"model_type"\s*:\s*"bart"/.test(text) ? 'AutoModelForSeq2SeqLM' : 'AutoModelForCausalLM';
    const target = `${directory}-safetensors`;
    const lines = [
      `pip install torch "transformers${version}"`,
      `python -c "from transformers import ${auto} as M; M.from_pretrained('${directory}'${options}).save_pretrained('${target}')"`,
      `cp '${directory}'/*token* '${directory}'/vocab.json '${directory}'/merges.txt '${target}'/ # those that are there`,
    ];
    return `; ${file} is not read, and these lines make ${target} of it:\n  ${lines.join('\n  ')}`;
  }
  return undefined;
}

/** The directory of a model in this one: a snapshot in the Hub's cache, or a checkpoint of a Trainer, the last of several. */
async function modelBelow(directory: string, present: readonly string[]): Promise<string | undefined> {
  const places = present.includes('snapshots') ? await inside(path.join(directory, 'snapshots')) : [];
  const found: string[] = [];
  for (const place of [...present.map((name) => path.join(directory, name)), ...places]) {
    if ((await inside(place)).some((file) => file.endsWith(`${path.sep}config.json`))) found.push(place);
  }
  const stepOf = (place: string): number => Number(/\d+$/.exec(place)?.[0] ?? 0);
  return found.sort((a, b) => stepOf(a) - stepOf(b)).at(-1);
}

async function inside(directory: string): Promise<string[]> {
  const names = await fs.readdir(directory).catch(() => []);
  return names.map((name) => path.join(directory, name));
}
