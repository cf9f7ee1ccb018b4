import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';

// A session of one thread keeps the library loaded by nothing of its own.
it('the library stays loaded when garbage is collected', () => {
  const script = `
    const { Api } = await import(${JSON.stringify(join(packageRoot, 'dist/runtime/ort/api.js'))});
    const { libraryPath } = await import(${JSON.stringify(join(packageRoot, 'dist/runtime/ort/library.js'))});
    const api = Api.load(libraryPath());
    for (let i = 0; i < 5; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    console.log(typeof api.create('CreateSessionOptions'));
  `;
  const out = execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(out.trim()).not.toBe('');
});
