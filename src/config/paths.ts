import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's own directory. Default paths start from it, not from the working directory. */
export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));
/** The demo model that comes with the package. */
export const bundledModel = resolve(packageRoot, 'models/preamble-demo');
/** The prefixes that come with the demo model, one directory for each. */
export const bundledPrefixes = resolve(packageRoot, 'prefixes/bundled');
/** Where the build writes the files of the console. */
export const consoleDirectory = resolve(packageRoot, 'dist/console');
/** Directory of the store unless PREAMBLE_STORE is set. */
export const defaultStoreDirectory = resolve(packageRoot, 'prefixes');

function findPackageRoot(from: string): string {
  if (existsSync(resolve(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`no package.json above ${basename(from)}`);
  return findPackageRoot(parent);
}
