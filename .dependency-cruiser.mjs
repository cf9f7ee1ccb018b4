// @ts-check
// Checks imports, types included: layers, homes of packages, circles. `npm run imports` runs it.
import { readFileSync } from 'node:fs';

/** @typedef {import('dependency-cruiser').IRegularForbiddenRuleType} Rule */

/**
 * The folders of `src` and the folders or files that each may import, as the table "Layers" of ARCHITECTURE.md has them.
 * `undefined` is everything: the folder is wiring.
 * @type {Map<string, string[] | undefined>}
 */
const layers = readLayers(readFileSync(new URL('./ARCHITECTURE.md', import.meta.url), 'utf8'));

/**
 * Packages that only the named folders of `src` may import. A package that is not here may be imported anywhere.
 * @type {Record<string, string[]>}
 */
const homes = {
  koffi: ['runtime'],
  'onnxruntime-node': ['runtime'],
  'onnx-proto': ['onnx'],
  '@huggingface/jinja': ['tokenizer'],
  '@huggingface/tokenizers': ['tokenizer'],
  ioredis: ['redis'],
  bullmq: ['redis'],
  fastify: ['server'],
  'fastify-plugin': ['server'],
  '@fastify': ['server'],
  'prom-client': ['metrics'],
  '@opentelemetry': ['tracing'],
  pino: ['logging', 'app'],
  commander: ['cli'],
};

/** @type {Rule[]} */
const layerRules = [...layers].flatMap(([folder, mayImport]) => {
  if (mayImport === undefined) return [];
  const pathNot = [folder, ...mayImport].map(within);
  const comment = `src/${folder} may import ${mayImport.join(', ') || 'nothing'} (ARCHITECTURE.md, Layers)`;
  return [rule(`layer-of-${folder}`, comment, { path: within(folder) }, { path: '^src/', pathNot })];
});

/** @type {Rule[]} */
const packageRules = Object.entries(homes).map(([name, folders]) =>
  rule(
    `home-of-${name}`,
    `${name} may be imported only in ${folders.map((folder) => `src/${folder}`).join(', ')}`,
    { path: '^src/', pathNot: folders.map(within) },
    { path: `(^|node_modules/)${name}($|/)` },
  ),
);

export default {
  forbidden: [
    ...layerRules,
    ...packageRules,
    rule('no-circles', 'files that import each other are one file', { path: '^(src|console)/' }, { circular: true }),
    rule(
      'every-folder-has-a-layer',
      'a folder of src that is not in ARCHITECTURE.md, Layers',
      { path: '^src/.+/', pathNot: [...layers.keys()].map(within) },
      {},
    ),
    rule(
      'console-knows-schemas-alone',
      'the console may import types of the schemas, and nothing else of the server',
      { path: '^console/' },
      { path: '^src/', pathNot: '[/-]schema[.]ts$|/schema/' },
    ),
    rule(
      'console-knows-types-alone',
      'no code of the server is in the console',
      { path: '^console/' },
      { path: '^src/', dependencyTypesNot: ['type-only'] },
    ),
    rule('nothing-knows-the-console', 'the server only sends its files', { path: '^src/' }, { path: '^console/' }),
    rule(
      'everything-resolves',
      'a file that is not there',
      { path: '^(src|console)/' },
      { couldNotResolve: true, path: '^[.]' },
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '[.]cache/' },
  },
};

/**
 * @param {string} name @param {string} comment @param {Rule['from']} from @param {Rule['to']} to
 * @returns {Rule}
 */
function rule(name, comment, from, to) {
  return { name, comment, severity: 'error', from, to };
}

/** A pattern of the files in a folder of src, or of the one file. @param {string} name */
function within(name) {
  return `^src/${name.replaceAll('.', '[.]')}${name.includes('.') ? '$' : '/'}`;
}

/** @param {string} text of ARCHITECTURE.md */
function readLayers(text) {
  const rows = text.split('\n').filter((line) => /^\| `[a-z-]+\//.test(line));
  if (rows.length === 0) throw new Error('ARCHITECTURE.md has no table of layers');
  return new Map(rows.flatMap(readRow));
}

/** @param {string} row @returns {[string, string[] | undefined][]} */
function readRow(row) {
  const [, folders = '', , mayImport = ''] = row.split('|');
  const allowed = /\beverything\b/.test(mayImport) ? undefined : codes(mayImport);
  return codes(folders).map((folder) => [folder, allowed]);
}

/** The words in backquotes, without a slash at their end. @param {string} cell */
function codes(cell) {
  return [...cell.matchAll(/`([^`]+?)\/?`/g)].map(([, word]) => /** @type {string} */ (word));
}
