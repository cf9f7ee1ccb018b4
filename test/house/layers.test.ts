import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import check from '../../.dependency-cruiser.mjs';
import { packageRoot } from '../../src/config/paths.js';

/** Folders of src that import no other folder. */
const LEAVES = ['charts', 'lib', 'logging', 'onnx', 'runtime'];
/** Folders of src that import `lib` and no other. */
const ABOVE_LIB = ['disk', 'safetensors', 'tokenizer'];
/** Folders that are wired together and know nothing of what wires them. */
const WIRED = [
  ...LEAVES,
  ...ABOVE_LIB,
  ...[
    'batches',
    'completions',
    'conversion',
    'engine',
    'evaluation',
    'files',
    'fine-tuning',
    'jobs',
    'metrics',
    'model',
    'prefix',
    'redis',
    'server',
    'study',
    'tenancy',
  ],
  ...['tracing', 'tuning'],
];

/** Imports that the check must refuse, written from what the layers are for and not from the table that it reads. */
const REFUSED: readonly (readonly [from: string, to: string])[] = [
  ...WIRED.flatMap((from) => ['app', 'cli', 'config'].map((to) => [from, to] as const)),
  ...ABOVE_LIB.flatMap((from) => WIRED.filter((to) => to !== from && to !== 'lib').map((to) => [from, to] as const)),
  ...LEAVES.flatMap((from) => WIRED.filter((to) => to !== from).map((to) => [from, to] as const)),
  // The engine is a library: it knows tokens and keys, and neither HTTP nor where anything is kept.
  ...['server', 'redis', 'model', 'runtime', 'onnx', 'tenancy', 'fine-tuning', 'tuning', 'evaluation', 'metrics'].map(
    (to) => ['engine', to] as const,
  ),
  // The batch worker and the command line complete with it, and have neither HTTP nor its traces and counts.
  ...['metrics', 'tracing', 'logging', 'model', 'redis', 'runtime', 'onnx', 'fine-tuning', 'tuning', 'evaluation'].map(
    (to) => ['completions', to] as const,
  ),
  ...['engine', 'prefix', 'tenancy'].map((from) => [from, 'completions'] as const),
  // Native code and graphs are the model's business.
  ...['engine', 'prefix', 'server', 'redis', 'fine-tuning', 'tenancy'].flatMap((from) =>
    ['runtime', 'onnx'].map((to) => [from, to] as const),
  ),
  // Redis is one of two kinds of store: nobody below wiring knows which.
  ...['server', 'engine', 'prefix', 'tenancy', 'fine-tuning', 'model'].map((from) => [from, 'redis'] as const),
  // Nothing but wiring knows HTTP.
  ...WIRED.filter((from) => from !== 'server').map((from) => [from, 'server'] as const),
  // Other programs' files are read on the command line only.
  ...['server', 'prefix', 'tuning'].map((from) => [from, 'conversion'] as const),
  ['server', 'model'],
  ['server', 'tuning'],
  ['model', 'tuning'],
  ['prefix', 'model'],
  ['prefix', 'tenancy'],
  ['tenancy', 'prefix'],
  // Files are of any purpose, jobs of any kind.
  ['files', 'jobs'],
  ['files', 'fine-tuning'],
  ['jobs', 'fine-tuning'],
  ['jobs', 'batches'],
  ['redis', 'batches'],
  ['batches', 'fine-tuning'],
  ['completions', 'batches'],
  ['jobs', 'tuning'],
  ['redis', 'fine-tuning'],
];

/** Imports that the check must let pass. */
const ALLOWED: readonly (readonly [from: string, to: string])[] = [
  ['app', 'server'],
  ['app', 'config'],
  ['cli', 'app'],
  ['server', 'completions'],
  ['server', 'engine'],
  ['completions', 'engine'],
  ['completions', 'tenancy'],
  ['server', 'tenancy'],
  ['engine', 'tokenizer'],
  ['model', 'runtime'],
  ['model', 'onnx'],
  ['prefix', 'safetensors'],
  ['safetensors', 'lib'],
  ['redis', 'prefix'],
  ['fine-tuning', 'files'],
  ['fine-tuning', 'jobs'],
  ['batches', 'completions'],
  ['batches', 'jobs'],
  ['server', 'batches'],
  ['redis', 'jobs'],
  ['tuning', 'model'],
];

/** Packages and the only folder that may import each. */
const HOMES = {
  koffi: 'runtime',
  'onnxruntime-node': 'runtime',
  'onnx-proto': 'onnx',
  '@huggingface/tokenizers': 'tokenizer',
  ioredis: 'redis',
  bullmq: 'redis',
  fastify: 'server',
  '@fastify/swagger': 'server',
  'prom-client': 'metrics',
  '@opentelemetry/api': 'tracing',
  commander: 'cli',
};

/** Every form in which a file can import another. */
const FORMS = [
  "import '../runtime/target.js';",
  "import type { A } from '../runtime/target.js';",
  "export { a } from '../runtime/target.js';",
  "export * from '../runtime/target.js';",
  "await import('../runtime/target.js');",
  "export type B = import('../runtime/target.js').A;",
  "import { a } from '../../src/runtime/target.js';",
];

let root: string;
/** Names of the rules that each planted file breaks. */
let broken: Map<string, string[]>;

/** Plants a file of `src` and returns its path. */
async function plant(file: string, code: string): Promise<void> {
  const full = path.join(root, 'src', file);
  await mkdir(path.dirname(full), { recursive: true });
  await writeFile(full, code);
}

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'preamble-layers-'));
  await symlink(path.join(packageRoot, 'node_modules'), path.join(root, 'node_modules'));
  for (const folder of [...WIRED, 'app', 'cli', 'config']) {
    await plant(`${folder}/target.ts`, 'export type A = string;\nexport const a = 1;\n');
    await plant(`${folder}/room/inside.ts`, `export { a } from '../target.js';\n`);
    for (const [name] of Object.entries(HOMES)) {
      await plant(`${folder}/uses-${name.replaceAll('/', '-')}.ts`, `import '${name}';\n`);
    }
  }
  for (const [from, to] of [...REFUSED, ...ALLOWED]) {
    await plant(`${from}/room/to-${to}.ts`, `import type { A } from '../../${to}/target.js';\nexport type B = A;\n`);
  }
  for (const [index, code] of FORMS.entries()) await plant(`engine/form-${index}.ts`, code);
  await plant('charts/one.ts', `import type { Two } from './two.js';\nexport type One = Two[];\n`);
  await plant('charts/two.ts', `import type { One } from './one.js';\nexport type Two = One | string;\n`);
  await plant('attic/old.ts', `export { a } from '../lib/target.js';\n`);
  await plant('prefix/kv.ts', 'export type Kv = string;\n');
  await plant('engine/to-kv.ts', `export type { Kv } from '../prefix/kv.js';\n`);
  await plant('engine/to-prefix.ts', `export type { A } from '../prefix/target.js';\n`);

  const { forbidden, options } = check;
  const { tsConfig: _, ...planted } = options;
  const { output } = await cruise(['src'], {
    ...planted,
    baseDir: root,
    validate: true,
    ruleSet: { forbidden },
  });
  broken = new Map();
  for (const { from, rule } of (output as ICruiseResult).summary.violations) {
    broken.set(from, [...(broken.get(from) ?? []), rule.name]);
  }
}, 60_000);

afterAll(() => rm(root, { recursive: true, force: true }));

describe('layers', () => {
  it('knows every folder of src', async () => {
    const entries = await readdir(path.join(packageRoot, 'src'), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect(folders.sort()).toStrictEqual([...WIRED, 'app', 'cli', 'config'].sort());
    expect(broken.get('src/attic/old.ts')).toStrictEqual(['every-folder-has-a-layer']);
  });

  it.each(REFUSED)('%s may not import %s', (from, to) => {
    expect(broken.get(`src/${from}/room/to-${to}.ts`)).toStrictEqual([`layer-of-${from}`]);
  });

  it.each(ALLOWED)('%s may import %s', (from, to) => {
    expect(broken.get(`src/${from}/room/to-${to}.ts`)).toBeUndefined();
  });

  it('opens a single file of a folder where the table names one', () => {
    expect(broken.get('src/engine/to-kv.ts')).toBeUndefined();
    expect(broken.get('src/engine/to-prefix.ts')).toStrictEqual(['layer-of-engine']);
  });

  it.each(FORMS.map((code, index) => [code, index] as const))('sees %s', (_, index) => {
    expect(broken.get(`src/engine/form-${index}.ts`)).toStrictEqual(['layer-of-engine']);
  });

  it('finds a circle of types', () => {
    const found = ['one', 'two'].flatMap((file) => broken.get(`src/charts/${file}.ts`) ?? []);
    expect(found).toStrictEqual(['no-circles']);
  });
});

describe('packages', () => {
  const folders = [...WIRED, 'app', 'cli', 'config'];
  const pairs = Object.entries(HOMES).flatMap(([name, home]) => folders.map((folder) => [name, folder, home] as const));

  it.each(pairs)('%s in %s', (name, folder, home) => {
    const found = broken.get(`src/${folder}/uses-${name.replaceAll('/', '-')}.ts`);
    if (folder === home) expect(found).toBeUndefined();
    else expect(found).toStrictEqual([expect.stringMatching(/^home-of-/)]);
  });
});

describe('process.env', () => {
  /** Without type information: the planted files do not exist. */
  const eslint = new ESLint({
    overrideConfig: [tseslint.configs.disableTypeChecked, { languageOptions: { parserOptions: { project: null } } }],
    ruleFilter: ({ ruleId }) => /^no-restricted-(imports|properties)$/.test(ruleId),
  });
  const problems = async (filePath: string, code: string): Promise<string[]> => {
    const [result] = await eslint.lintText(code, { filePath });
    return result?.messages.map(({ message }) => message) ?? [];
  };

  it('is read only in src/config', async () => {
    for (const code of ['process.env.PORT;', "process['env'];", 'const { env } = process;', "import 'node:process';"]) {
      expect(await problems('src/app/app.ts', code), code).toHaveLength(1);
    }
    expect(await problems('src/config/config.ts', 'process.env.PORT;')).toEqual([]);
  });
});
