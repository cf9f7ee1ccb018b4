import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { packageRoot } from '#src/config/paths.js';
import { exists } from '#src/disk/durable.js';
import type { Gpt2Config } from '#src/model/gpt2/config.js';
import { compileModel, type Manifest, readManifest, WEIGHTS_FILE } from '#src/model/compile/compiled-model.js';
import { threadsOf } from '../options.js';
import type { BenchContext } from '../suite.js';
import { type AdapterContent, peftSeq2SeqPrefix, threeSitePrefix } from '../load/summaries.js';
import { peftFiles } from '../load/targets.js';
import { randomPrefix, userName } from '../load/workload.js';
import { concatGraph } from './concat-graph.js';
import { installNode, installPython, run } from './install.js';
import type { PeerCommand } from './peer-process.js';
import { VERSIONS } from './versions.js';

/** Folder of the Python scripts, which the build does not copy. */
const scripts = path.join(packageRoot, 'bench/peers');
const installed = path.join(packageRoot, 'bench/.cache/peers');

/** node-llama-cpp with its prebuilt CPU binary, and the checkpoint as a float32 GGUF. */
export async function prepareNodeLlamaCpp({ options, checkpoint }: BenchContext): Promise<PeerCommand> {
  const packages = path.join(installed, 'node-llama-cpp');
  const binary = `@node-llama-cpp/${llamaPlatform()}`;
  await installNode(packages, [
    `node-llama-cpp@${VERSIONS['node-llama-cpp']}`,
    `${binary}@${VERSIONS['node-llama-cpp']}`,
  ]);
  const model = path.join(installed, `${path.basename(checkpoint)}.gguf`);
  if (!(await exists(model))) {
    const python = await installPython(path.join(installed, 'gguf'), ['gguf', 'numpy', 'safetensors']);
    await run(python, [path.join(scripts, 'write_gguf.py'), checkpoint, model], installed);
  }
  const longest = options.context + options.tokens; // the mean is `context`
  return nodeProgram('./node-llama-cpp.js', { packages, model, threads: threadsOf(options), context: longest });
}

/** `generate` of Transformers and PEFT on PyTorch's CPU build. */
export function prepareTransformersPeft(context: BenchContext): Promise<PeerCommand> {
  return preparePeft('transformers_peft.py', context, firstPrefix(context));
}

/** The same with a LoRA of its own for each row instead of a prefix. */
export async function prepareTransformersLora({ options, checkpoint: model }: BenchContext): Promise<PeerCommand> {
  const args = flags({ model, loras: Math.max(...options.rows), threads: threadsOf(options) });
  return { program: await installPeft(), args: [path.join(scripts, 'transformers_peft.py'), ...args] };
}

/** The same of a BART, with a prefix as PEFT has it. */
export async function prepareTransformersBart(context: BenchContext): Promise<PeerCommand> {
  const { program, args } = await preparePeft('transformers_peft.py', context, peftSeq2SeqPrefix(userName(0)));
  return { program, args: [...args, '--encoder-decoder'] };
}

/** Training with Transformers and PEFT on PyTorch's CPU build. */
export function preparePeftTrainer(context: BenchContext): Promise<PeerCommand> {
  return preparePeft('train_peft.py', context, firstPrefix(context));
}

function firstPrefix({ prefixColumns }: BenchContext): AdapterContent {
  return peftFiles(randomPrefix(userName(0), prefixColumns));
}

/** Training with AdapterHub's library on PyTorch's CPU build, of a prefix at a BART's three sites. */
export async function prepareAdaptersTrainer(context: BenchContext): Promise<PeerCommand> {
  const python = await installPython(path.join(installed, 'adapters'), ['adapters', 'torch', 'numpy', 'safetensors']);
  return withAdapter(python, 'train_adapters.py', context, threeSitePrefix(userName(0)));
}

/** A script of Transformers and PEFT that gets the model, a prefix as PEFT's two files, and the threads. */
async function preparePeft(script: string, context: BenchContext, prefix: AdapterContent): Promise<PeerCommand> {
  return withAdapter(await installPeft(), script, context, prefix);
}

/** @returns the Python that has Transformers and PEFT */
function installPeft(): Promise<string> {
  const packages = ['torch', 'transformers', 'peft', 'numpy', 'safetensors'] as const;
  return installPython(path.join(installed, 'transformers-peft'), packages);
}

async function withAdapter(
  program: string,
  script: string,
  { options, checkpoint: model }: BenchContext,
  { config, tensors }: AdapterContent,
): Promise<PeerCommand> {
  const adapter = path.join(installed, `adapter-${path.basename(model)}`);
  await fs.mkdir(adapter, { recursive: true });
  await fs.writeFile(path.join(adapter, 'adapter_config.json'), JSON.stringify(config));
  await fs.writeFile(path.join(adapter, 'adapter_model.safetensors'), tensors);
  return { program, args: [path.join(scripts, script), ...flags({ model, adapter, threads: threadsOf(options) })] };
}

/** CTranslate2 in float32, with the checkpoint in its own format. */
export async function prepareCTranslate2({ options, checkpoint }: BenchContext): Promise<PeerCommand> {
  const packages = ['ctranslate2', 'torch', 'transformers', 'numpy', 'safetensors'] as const;
  const program = await installPython(path.join(installed, 'ctranslate2'), packages);
  const model = path.join(installed, `${path.basename(checkpoint)}.ct2`);
  if (!(await exists(model))) {
    const converter = path.join(path.dirname(program), 'ct2-transformers-converter');
    await run(converter, ['--model', checkpoint, '--output_dir', model], installed);
  }
  const args = flags({ model, threads: threadsOf(options) });
  return { program, args: [path.join(scripts, 'ctranslate2_bart.py'), ...args] };
}

/** The stock JavaScript binding, which Preamble depends on, and a graph beside a hard link to the compiled weights. */
export async function prepareOnnxRuntimeNode({ options, checkpoint, cache }: BenchContext): Promise<PeerCommand> {
  const compiled = await compileModel({ source: checkpoint, cache });
  const { config, weights } = (await readManifest(compiled)) as Manifest;
  const directory = path.join(installed, 'onnxruntime-node');
  await fs.rm(directory, { recursive: true, force: true });
  await fs.mkdir(directory, { recursive: true });
  // ONNX Runtime wants weights in the graph's own directory.
  await fs.link(path.join(compiled, WEIGHTS_FILE), path.join(directory, WEIGHTS_FILE));
  const graph = path.join(directory, 'concat.onnx');
  await fs.writeFile(graph, concatGraph(config as Gpt2Config, weights, WEIGHTS_FILE).toBytes());
  return nodeProgram('./onnxruntime-node.js', { graph, compiled, threads: threadsOf(options) });
}

/** Name of node-llama-cpp's binary package for this CPU. */
function llamaPlatform(): string {
  const system = { linux: 'linux', darwin: 'mac', win32: 'win' }[process.platform as 'linux'] as string | undefined;
  return `${system ?? process.platform}-${process.arch}${process.platform === 'darwin' && process.arch === 'arm64' ? '-metal' : ''}`;
}

/** Way in which a process of Preamble's trains. */
export interface TrainerSetup {
  readonly threads: number;
  /** Whether threads that wait spin. */
  readonly spin: boolean;
  /** Whether it has the lowest priority. */
  readonly background: boolean;
}

/** Preamble's own training, measured as a peer is. */
export async function prepareTrainer(
  { checkpoint: source, cache }: BenchContext,
  { threads, spin, background }: TrainerSetup,
): Promise<PeerCommand> {
  const model = await compileModel({ source, cache });
  return nodeProgram('../suites/training/trainer.js', {
    model,
    threads,
    spin: spin ? 1 : 0,
    background: background ? 1 : 0,
  });
}

/** A program of the bench, compiled as this one is. */
function nodeProgram(file: string, args: Readonly<Record<string, string | number>>): PeerCommand {
  const program = fileURLToPath(new URL(file, import.meta.url));
  return { program: process.execPath, args: [program, ...flags(args)] };
}

function flags(args: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(args).map(([name, value]) => `--${name}=${value}`);
}
