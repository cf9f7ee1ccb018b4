// Compiles a checkpoint again and again until it is killed: `node compile-forever.mjs SOURCE CACHE WEIGHTS`.
import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { runnerImport } from 'vite';

const [source, cache, weights] = process.argv.slice(2);
const entry = fileURLToPath(new URL('../../src/model/compile/compiled-model.ts', import.meta.url));
const { module } = await runnerImport(entry, { logLevel: 'silent' });
process.stdout.write('begun\n');
for (;;) {
  const directory = await module.compileModel({ source, cache, weights });
  const old = path.join(cache, `.draft-${process.pid}-old`);
  await fs.rename(directory, old);
  await fs.rm(old, { recursive: true });
}
