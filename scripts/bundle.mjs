// @ts-check
// Joins the modules that a start loads into a few files: `dist/main.js` and the other programs are then these files, and the modules that tsc
// wrote beside them are what the bench and some tests import. Finding and reading a thousand small modules is half of the CPU time of a start.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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
  // The first serves files that lie beside its modules, and the second for it and for us.
  '@fastify/swagger-ui',
  '@fastify/static',
  // They are loaded only where a setting asks for them.
  'bullmq',
  'ioredis',
  '@opentelemetry/*',
];

/** As deep in the package as the modules that it replaces: `server.ts` reads package.json by a path relative to itself. */
const SHARED = 'bundle';

const { outputFiles } = await build({
  write: false,
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
// What is the same stays as it is, and what is left over goes last: a server that runs from here may still load a part.
for (const { path: file, contents } of outputFiles) {
  const old = await readFile(file).catch(() => undefined);
  if (old?.equals(contents)) continue;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, contents);
}
const written = new Set(outputFiles.map(({ path: file }) => file));
const shared = path.join(root, 'dist', SHARED);
for (const name of await readdir(shared)) {
  if (!written.has(path.join(shared, name))) await rm(path.join(shared, name));
}
