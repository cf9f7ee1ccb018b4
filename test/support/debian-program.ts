import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** A program of a Debian package. */
export interface DebianProgram {
  readonly name: string;
  /** Debian's package that holds it. */
  readonly package: string;
  /** Where it is in the package. */
  readonly path: string;
  /** Where it is a second name of a program beside it: that one. */
  readonly linkTo?: string;
}

/** A program and the `LD_LIBRARY_PATH` that it needs, empty where it needs none. */
export interface FoundProgram {
  readonly program: string;
  readonly libraries: string;
}

const run = promisify(execFile);

/**
 * Finds a program: on PATH, fetched earlier, or fetched now, without root and outside the system.
 * @param caches where fetched programs are kept
 */
export async function findProgram(wanted: DebianProgram, caches: string): Promise<FoundProgram> {
  const installed = await onPath(wanted.name);
  if (installed !== undefined) return { program: installed, libraries: '' };
  const root = path.join(caches, wanted.name);
  const program = path.join(root, wanted.path);
  if (!(await isExecutable(program))) await fetch(wanted, root);
  return { program, libraries: (await librariesIn(root)).join(':') };
}

/** Debian's own package and what it depends on that is not installed, checked by apt against the system's keys, in directories of ours. */
async function fetch(wanted: DebianProgram, root: string): Promise<void> {
  if (!(await onPath('apt-get')) || !(await onPath('dpkg-deb'))) fail(wanted);
  await mkdir(path.dirname(root), { recursive: true });
  const scratch = await mkdtemp(`${root}-`);
  try {
    console.log(`No ${wanted.name} here: fetching the one of Debian ...`);
    const target = path.join(scratch, 'root');
    for (const archive of await download(wanted.package, scratch)) await run('dpkg-deb', ['-x', archive, target]);
    const program = path.join(target, wanted.path);
    if (wanted.linkTo !== undefined) await symlink(wanted.linkTo, program);
    await access(program, constants.X_OK);
    await rm(root, { recursive: true, force: true });
    await rename(target, root);
  } catch (error) {
    fail(wanted, error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Downloads packages, with an apt whose lists and archives are in `scratch`. Returns the archives. */
async function download(name: string, scratch: string): Promise<string[]> {
  const archives = path.join(scratch, 'archives');
  await mkdir(path.join(scratch, 'lists/partial'), { recursive: true });
  await mkdir(path.join(archives, 'partial'), { recursive: true });
  const settings = {
    'Dir::State': scratch,
    'Dir::State::lists': path.join(scratch, 'lists'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': scratch,
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': os.userInfo().username,
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await run('apt-get', [...options, 'update']);
  await run('apt-get', [
    ...options,
    'install',
    '--reinstall',
    '--download-only',
    '--no-install-recommends',
    '--yes',
    name,
  ]);
  const files = await readdir(archives);
  return files.filter((file) => file.endsWith('.deb')).map((file) => path.join(archives, file));
}

/** Directories in which packages have put shared libraries, some of them below `usr/lib/<machine>`. */
async function librariesIn(root: string): Promise<string[]> {
  const found = ['lib', 'usr/lib'].map(async (folder) => {
    const options = { recursive: true, withFileTypes: true } as const;
    const entries = await readdir(path.join(root, folder), options).catch(() => []);
    return entries.filter(({ name }) => /\.so(\.|$)/.test(name)).map(({ parentPath }) => parentPath);
  });
  return [...new Set((await Promise.all(found)).flat())];
}

/** The program of that name on PATH, if there is one. */
export async function onPath(name: string): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(path.delimiter)) {
    if (await isExecutable(path.join(directory, name))) return path.join(directory, name);
  }
  return undefined;
}

export function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function fail({ name, package: from }: DebianProgram, cause?: unknown): never {
  const how = `install Debian's package ${from}, or put ${name} on PATH`;
  throw new Error(`This runs a ${name} of its own, and there is none: ${how}.`, { cause });
}
