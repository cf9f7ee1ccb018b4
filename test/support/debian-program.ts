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

/** Debian's own package, checked by apt against the system's keys, in directories of ours. */
async function fetch(wanted: DebianProgram, root: string): Promise<void> {
  if (!(await onPath('apt-get')) || !(await onPath('dpkg-deb'))) fail(wanted);
  await mkdir(path.dirname(root), { recursive: true });
  const scratch = await mkdtemp(`${root}-`);
  try {
    console.log(`No ${wanted.name} here: fetching the one of Debian ...`);
    const apt = await privateApt(scratch);
    const target = path.join(scratch, 'root');
    const program = path.join(target, wanted.path);
    await unpack(apt, wanted.package, scratch, target);
    if (wanted.linkTo !== undefined) await symlink(wanted.linkTo, program);
    if (await lacksLibraries(program)) await fetchLibraries(apt, wanted.package, scratch, target);
    await rm(root, { recursive: true, force: true });
    await rename(target, root);
  } catch (error) {
    fail(wanted, error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

type Apt = (command: 'apt-get' | 'apt-cache', ...args: string[]) => Promise<string>;

/** apt whose lists and downloads are in `scratch`. */
async function privateApt(scratch: string): Promise<Apt> {
  await mkdir(path.join(scratch, 'lists/partial'), { recursive: true });
  await mkdir(path.join(scratch, 'archives/partial'), { recursive: true });
  const settings = {
    'Dir::State': scratch,
    'Dir::State::lists': path.join(scratch, 'lists'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': scratch,
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': os.userInfo().username,
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt: Apt = async (command, ...args) => (await run(command, [...options, ...args], { cwd: scratch })).stdout;
  await apt('apt-get', 'update');
  return apt;
}

async function unpack(apt: Apt, name: string, scratch: string, target: string): Promise<void> {
  await apt('apt-get', 'download', name);
  const file = (await readdir(scratch)).find((entry) => entry.startsWith(`${name}_`) && entry.endsWith('.deb'));
  await run('dpkg-deb', ['-x', path.join(scratch, String(file)), target]);
}

/** A program that is linked statically has none: `ldd` fails. */
async function lacksLibraries(program: string): Promise<boolean> {
  const { stdout } = await run('ldd', [program]).catch(() => ({ stdout: '' }));
  return stdout.includes('not found');
}

/** The libraries that it depends on, except that of C, which the system has. */
async function fetchLibraries(apt: Apt, name: string, scratch: string, target: string): Promise<void> {
  const only = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((kind) => `--no-${kind}`);
  const listed = await apt('apt-cache', 'depends', '--recurse', ...only, name);
  const libraries = listed.split('\n').filter((line) => /^lib/.test(line) && line !== 'libc6');
  // An alternative of another system is not there to be downloaded; starting the program tells whether enough is.
  for (const library of libraries) await unpack(apt, library, scratch, target).catch(() => undefined);
}

/** Where Debian's packages put libraries: `lib/<machine>` and `usr/lib/<machine>`. */
async function librariesIn(root: string): Promise<string[]> {
  const found = ['lib', 'usr/lib'].map(async (folder) => {
    const entries = await readdir(path.join(root, folder), { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(root, folder, name));
  });
  return (await Promise.all(found)).flat();
}

async function onPath(name: string): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(path.delimiter)) {
    if (await isExecutable(path.join(directory, name))) return path.join(directory, name);
  }
  return undefined;
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function fail({ name, package: from }: DebianProgram, cause?: unknown): never {
  const how = `install Debian's package ${from}, or put ${name} on PATH`;
  throw new Error(`This runs a ${name} of its own, and there is none: ${how}.`, { cause });
}
