import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';

import { type Command, InvalidArgumentError } from 'commander';

import { replaceFile } from '../../disk/durable.js';
import { CONFIG_FILE, MODEL_FILE } from '../../prefix/adapter/format.js';
import { print, type Io } from '../io.js';

interface Options {
  readonly out: string;
  readonly base?: string;
  readonly json?: boolean;
}

/** `preamble prefix convert DIR --out DIR`: on this machine, without a server. */
export function addPrefixConvert(prefix: Command, io: Io): void {
  prefix
    .command('convert')
    .description(
      "Convert a BART's prefix of AdapterHub's library or of Li and Liang's code to the files that push takes. Nothing in a .bin is run.",
    )
    .argument('<source>', 'directory, or its file with the tensors (.bin or .safetensors); it is not written to')
    .requiredOption('--out <dir>', `receives ${CONFIG_FILE} and ${MODEL_FILE}`)
    .option('--base <name>', 'name of the base model (default: as the source has it)', nonEmpty)
    .option('--json', 'print one line of JSON')
    .action(async (source: string, options: Options) => print(io, await convert(source, options)));
}

async function convert(source: string, { out, base, json }: Options): Promise<string> {
  const { convertPrefix } = await import('../../conversion/convert.js');
  const { naming, readSourceFiles } = await import('../../conversion/source-files.js');
  const read = await readSourceFiles(source);
  const { files, ...converted } = naming(source, () => convertPrefix({ ...read, base }));
  await mkdir(out, { recursive: true });
  if (read.directory === (await realpath(out)))
    throw new Error('--out: must be another directory than that of the source');
  await replaceFile(join(out, CONFIG_FILE), files.config);
  await replaceFile(join(out, MODEL_FILE), files.model);
  const { sites, encoderLayers, decoderLayers, width } = converted;
  if (json) {
    const layers = { encoder_layers: encoderLayers ?? null, decoder_layers: decoderLayers ?? null };
    return JSON.stringify({ directory: out, sites, ...layers, width });
  }
  const tokens = Object.entries(sites).map(([site, length]) => `${site} ${length}`);
  return `${source} -> ${out}\nvirtual tokens: ${tokens.join(', ')}`;
}

function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}
