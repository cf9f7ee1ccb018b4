import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

const root = path.resolve(import.meta.dirname, '../..');
/** Base models that tests serve; those beside the repository are there only where the references were made. */
const directories = ['models/preamble-demo', 'test/goldens/models', '../shared/goldens/models'];

/** The base model is frozen: hashes every file of the models before the first test, and fails the run if one changed. */
export default async function setup(): Promise<() => Promise<void>> {
  const before = await hashModels();
  return async () => {
    const after = await hashModels();
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (file) => before.get(file) !== after.get(file),
    );
    if (changed.length > 0) throw new Error(`Tests changed files of a base model: ${changed.join(', ')}`);
    console.log(`${before.size} files of base models have the hashes they had before the tests.`);
  };
}

async function hashModels(): Promise<Map<string, string>> {
  const files = (await Promise.all(directories.map(listFiles))).flat();
  return new Map(await Promise.all(files.map(async (file) => [file, await hashFile(file)] as const)));
}

/** Paths relative to the repository; none when the directory is not there. */
async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(path.join(root, directory), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path.join(root, file)), hash);
  return hash.digest('hex');
}
