// @ts-check
// Builds the console: the sources in `console/` become static files in `dist/console`, which the server sends as they are. Each has a name with
// the hash of its content, but for `index.html`, which names them, and copies beside it that are compressed already.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const source = path.join(root, 'console');
const target = path.join(root, 'dist/console');

const { outputFiles, metafile } = await build({
  write: false,
  metafile: true,
  absWorkingDir: root,
  entryPoints: ['console/main.tsx', 'console/styles/main.css', 'console/icon.svg'],
  outbase: 'console',
  outdir: 'dist/console',
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  bundle: true,
  splitting: true, // a page's script is loaded when it is opened
  format: 'esm',
  platform: 'browser',
  target: ['chrome123', 'firefox121', 'safari17.5'], // the first with light-dark()
  loader: { '.svg': 'copy' },
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
});

/** @param {string} entry its path from the root @returns {string} the name that its output has */
function outputOf(entry) {
  const found = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === entry);
  if (found === undefined) throw new Error(`${entry} has no output`);
  return path.basename(found[0]);
}

const page = (await readFile(path.join(source, 'index.html'), 'utf8')).replaceAll(/\{\{(.+?)\}\}/g, (_, entry) =>
  outputOf(`console/${entry}`),
);
/** @type {Map<string, Uint8Array>} */
const files = new Map([
  ['index.html', Buffer.from(page)],
  ...outputFiles.map(({ path: file, contents }) => /** @type {const} */ ([path.basename(file), contents])),
]);
for (const [name, contents] of [...files]) {
  const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  files.set(`${name}.br`, await promisify(brotliCompress)(contents, { params: quality }));
  files.set(`${name}.gz`, await promisify(gzip)(contents, { level: constants.Z_BEST_COMPRESSION }));
}
// The page goes last, and what is left over after it: a browser that has the old page may still load a part.
await mkdir(target, { recursive: true });
for (const [name, contents] of [...files].reverse()) await writeFile(path.join(target, name), contents);
for (const name of await readdir(target)) if (!files.has(name)) await rm(path.join(target, name));
