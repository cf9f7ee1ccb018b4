import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';
import { exists } from '#src/disk/durable.js';
import type { Build } from '../process/build.js';

/** Full hash of a commit of this repository, which may be named in any of git's ways. */
export function resolveCommit(name: string): string {
  try {
    return git('rev-parse', '--quiet', '--verify', '--end-of-options', `${name}^{commit}`).trim();
  } catch {
    throw new Error(`--beside: '${name}' is no commit of this repository`);
  }
}

/**
 * Builds a commit in a folder of its own under `parent`, or finds the one that an earlier call built. This checkout, its index and
 * its branches are not touched. Builds of other commits under `parent` are removed: their compiled models are large.
 * @param commit full hash
 */
export async function buildCommit(commit: string, parent: string): Promise<Build> {
  const directory = path.join(parent, commit);
  await fs.mkdir(parent, { recursive: true });
  for (const entry of await fs.readdir(parent)) {
    if (entry !== commit) await fs.rm(path.join(parent, entry), { recursive: true });
  }
  if (await exists(directory)) await provideDependencies(directory);
  else await buildNew(commit, directory);
  return { name: git('rev-parse', '--short', commit).trim(), directory };
}

/** An interrupted call leaves nothing that looks finished. */
async function buildNew(commit: string, directory: string): Promise<void> {
  const draft = `${directory}.tmp`;
  const archive = `${draft}.tar`;
  await fs.mkdir(draft);
  git('archive', '--output', archive, commit);
  execFileSync('tar', ['-x', '-f', archive, '-C', draft]);
  await fs.rm(archive);
  await provideDependencies(draft);
  npm(draft, 'run', 'build');
  await fs.rename(draft, directory);
}

/** Links this checkout's packages if both lock the same ones; else installs the commit's own. */
async function provideDependencies(directory: string): Promise<void> {
  const packages = path.join(directory, 'node_modules');
  const isLink = await fs.lstat(packages).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  );
  if (isLink)
    await fs.unlink(packages); // this checkout's lockfile may have changed since
  else if (await exists(packages)) return;
  const [own, ours] = [directory, packageRoot].map((at) => readFileSync(path.join(at, 'package-lock.json'), 'utf8'));
  if (own === ours) await fs.symlink(path.join(packageRoot, 'node_modules'), packages, 'junction');
  else npm(directory, 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund');
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: packageRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs npm; its messages go to standard error. */
function npm(cwd: string, ...args: string[]): void {
  execFileSync('npm', args, { cwd, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
}
