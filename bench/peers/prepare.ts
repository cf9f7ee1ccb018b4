import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { packageRoot } from '#src/config.js';
import { threadsOf } from '../options.js';
import type { BenchContext } from '../suite.js';
import { installNode, installPython, run } from './install.js';
import type { PeerCommand } from './peer-process.js';
import { VERSIONS } from './versions.js';

/** Python scripts, which no build copies. */
const scripts = path.join(packageRoot, 'bench/peers');
const installed = path.join(packageRoot, 'bench/.cache/peers');

/** node-llama-cpp with its prebuilt CPU binary, and the checkpoint as a float32 GGUF. */
export async function prepareNodeLlamaCpp({ options, checkpoint }: BenchContext): Promise<PeerCommand> {
  const packages = path.join(installed, 'node-llama-cpp');
  const binary = `@node-llama-cpp/${llamaPlatform()}`;
  await installNode(packages, [`node-llama-cpp@${VERSIONS.nodeLlamaCpp}`, `${binary}@${VERSIONS.nodeLlamaCpp}`]);
  const model = path.join(installed, `${path.basename(checkpoint)}.gguf`);
  if (!(await exists(model))) {
    const python = await installPython(path.join(installed, 'gguf'), ['gguf', 'numpy', 'safetensors']);
    await run(python, [path.join(scripts, 'write_gguf.py'), checkpoint, model], installed);
  }
  const longest = options.context + options.tokens; // the mean is `context`
  return nodeProgram('./node-llama-cpp.js', { packages, model, threads: threadsOf(options), context: longest });
}

/** Its binary packages' names for CPUs. */
function llamaPlatform(): string {
  const system = { linux: 'linux', darwin: 'mac', win32: 'win' }[process.platform as 'linux'] as string | undefined;
  return `${system ?? process.platform}-${process.arch}${process.platform === 'darwin' && process.arch === 'arm64' ? '-metal' : ''}`;
}

/** A program of this folder, compiled beside this one. */
function nodeProgram(file: string, args: Readonly<Record<string, string | number>>): PeerCommand {
  const program = fileURLToPath(new URL(file, import.meta.url));
  return { program: process.execPath, args: [program, ...flags(args)] };
}

function flags(args: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(args).map(([name, value]) => `--${name}=${value}`);
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
