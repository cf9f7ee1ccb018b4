// @ts-check
// Joins the modules that a start loads into a few files: `dist/main.js` and the other programs are then these files, and the modules that tsc
// wrote beside them are what the bench and some tests import. Finding and reading a thousand small modules is half of the CPU time of a start.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Programs of the package, as processes start them. */
const PROGRAMS = ['main', 'cli/main', 'app/training-child'];

/** Packages that stay in node_modules. */
const EXTERNAL = [
  // They have native code.
  'koffi',
  'onnxruntime-node',
  // It serves files that lie beside its modules.
  '@fastify/swagger-ui',
  // They are loaded only where a setting asks for them.
  'bullmq',
  'ioredis',
  '@opentelemetry/*',
];

/** As deep in the package as the modules that it replaces: `server.ts` reads package.json by a path relative to itself. */
const SHARED = 'bundle';

await rm(path.join(root, 'dist', SHARED), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(PROGRAMS.map((program) => [program, `src/${program}.ts`])),
  outdir: 'dist',
  chunkNames: `${SHARED}/[name]-[hash]`,
  bundle: true,
  splitting: true, // what is imported when it is needed stays apart
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: EXTERNAL,
  // CommonJS packages require Node's own modules.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
  },
  sourcemap: true, // for `node --enable-source-maps`
  logLevel: 'warning',
});
