import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import path from 'node:path';

import { VERSIONS } from './versions.js';

/** File with the installed packages; written last, so that an interrupted install does not count. */
const STAMP = 'installed.json';

/** Installs packages of npm's registry, `name@version`, into a folder of their own, without running their scripts. */
export function installNode(directory: string, packages: readonly string[]): Promise<void> {
  return unlessDone(directory, packages, async () => {
    await fs.writeFile(path.join(directory, 'package.json'), '{ "private": true }\n');
    // Optional packages would be binaries for every kind of GPU.
    const flags = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund'];
    await run('npm', ['install', ...flags, ...packages], directory);
  });
}

/** Installs packages of PyPI into a virtual environment of their own and returns its Python. */
export async function installPython(directory: string, names: readonly (keyof typeof VERSIONS)[]): Promise<string> {
  const python = path.join(directory, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const packages = names.map((name) => `${name}==${VERSIONS[name]}`);
  await unlessDone(directory, packages, async () => {
    await run('python3', ['-m', 'venv', '.'], directory);
    await run(python, ['-m', 'pip', 'install', '--quiet', '--no-input', ...packages], directory);
  });
  return python;
}

/** Runs a program, its output on standard error. @throws Error if the program cannot be run or fails */
export async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 2, 2] });
  const [status] = (await once(child, 'exit')) as [number | null]; // rejects when there is no such program
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')} ended with ${status}`);
}

/** Empties the directory and installs, unless exactly these packages are installed there. */
async function unlessDone(directory: string, packages: readonly string[], install: () => Promise<void>): Promise<void> {
  const stamp = path.join(directory, STAMP);
  const wanted = JSON.stringify(packages);
  if ((await fs.readFile(stamp, 'utf8').catch(() => undefined)) === wanted) return;
  console.log(`Installing ${packages.join(' ')} ...`);
  await fs.rm(directory, { recursive: true, force: true });
  await fs.mkdir(directory, { recursive: true });
  await install();
  await fs.writeFile(stamp, wanted);
}
