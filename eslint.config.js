// @ts-check
import path from 'node:path';

import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * The layers (ARCHITECTURE.md): what a folder of src may import from the rest of src, folders or single files.
 * Wiring (src/main.ts, app and cli) may import anything.
 * @type {Record<string, string[]>}
 */
export const layers = {
  server: ['engine', 'tokenizer', 'prefix', 'tenancy', 'metrics', 'tracing', 'fine-tuning', 'logging', 'lib'],
  metrics: ['engine/observer.ts'],
  tracing: ['engine/observer.ts'],
  engine: ['tokenizer', 'prefix/kv.ts'],
  model: ['engine/runner.ts', 'prefix/kv.ts', 'onnx', 'runtime', 'safetensors'],
  prefix: ['safetensors', 'disk', 'lib'],
  tuning: ['engine/sampling/random.ts', 'model', 'prefix', 'onnx', 'runtime', 'safetensors', 'disk', 'charts', 'lib'],
  'fine-tuning': ['prefix', 'tuning', 'disk', 'lib'],
  evaluation: ['engine', 'tokenizer', 'model', 'prefix', 'tuning'],
  study: ['evaluation', 'prefix/kv.ts', 'tuning', 'charts', 'disk'],
  charts: [],
  onnx: [],
  tokenizer: [],
  runtime: [],
  safetensors: [],
  tenancy: ['disk'],
  disk: [],
  redis: ['prefix', 'tenancy', 'fine-tuning', 'lib'],
  config: ['model/precision.ts', 'tenancy'],
  logging: [],
  lib: [],
};
const wiring = ['', 'app', 'cli'];

/**
 * Packages that are one folder's business; `''` is src itself. Packages that are not here may be imported anywhere.
 * @type {Record<string, string[]>}
 */
export const packages = {
  koffi: ['runtime'],
  'prom-client': ['metrics'],
  '@opentelemetry': ['tracing'],
  'onnxruntime-node': ['runtime'],
  'onnx-proto': ['onnx'],
  '@huggingface/tokenizers': ['tokenizer'],
  ioredis: ['redis'],
  bullmq: ['redis'],
  fastify: ['server', ...wiring],
  'fastify-plugin': ['server', ...wiring],
  '@fastify': ['server', ...wiring],
  commander: ['cli'],
  stemmer: ['evaluation'],
};

const src = path.join(import.meta.dirname, 'src');

/** @type {import('eslint').Rule.RuleModule} */
const boundaries = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const folder = folderOf(path.relative(src, context.filename));
    /** @param {any} node */
    const check = (node) => {
      const source = node.source?.value;
      const problem = typeof source === 'string' ? violation(folder, context.filename, source) : undefined;
      if (problem) context.report({ node, message: problem });
    };
    return {
      ImportDeclaration: check,
      ImportExpression: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      TSImportType: check,
    };
  },
};

/** @param {string} folder @param {string} file @param {string} source */
function violation(folder, file, source) {
  const owners = Object.entries(packages).find(([name]) => source === name || source.startsWith(`${name}/`))?.[1];
  if (owners) return owners.includes(folder) ? undefined : `${source} may be imported only in ${describe(owners)}.`;
  if (!source.startsWith('.') || wiring.includes(folder)) return undefined;
  const target = path.relative(src, path.resolve(path.dirname(file), source)).replace(/\.js$/, '.ts');
  const allowed = [folder, ...(layers[folder] ?? [])];
  if (allowed.some((name) => target === name || target.startsWith(`${name}${path.sep}`))) return undefined;
  return `src/${folder} may not import ${target}, only ${describe(allowed)}.`;
}

/** @param {string} file relative to src */
function folderOf(file) {
  return file.includes(path.sep) ? /** @type {string} */ (file.split(path.sep)[0]) : '';
}

/** @param {string[]} folders */
function describe(folders) {
  return folders.map((name) => path.join('src', name)).join(', ');
}

export default defineConfig(
  globalIgnores([
    'dist',
    'coverage',
    'bench/.cache',
    'bench/results',
    'test/.cache',
    'test/goldens',
    'models',
    'prefixes',
  ]),
  {
    files: ['**/*.{ts,js,mjs}'],
    extends: [js.configs.recommended, tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: './test/tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-console': 'off',
      'no-undef': 'off', // the compiler knows
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off', // Fastify's plugins and the fakes of interfaces are async without waiting
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    // Answers are JSON and matchers are `any`; the assertions check them.
    files: ['test/**'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    ignores: ['src/**'],
    extends: [tseslint.configs.disableTypeChecked],
  },
  {
    files: ['src/**/*.ts'],
    plugins: { house: { rules: { boundaries } } },
    rules: {
      'house/boundaries': 'error',
      'no-restricted-imports': ['error', 'process', 'node:process'],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/config/config.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only src/config/config.ts reads the environment.' },
      ],
    },
  },
);
