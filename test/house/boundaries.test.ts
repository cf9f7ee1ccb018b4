import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';

import { layers, packages } from '../../eslint.config.js';

/** Only the rules that guard boundaries, without type information: the planted files do not exist. */
const eslint = new ESLint({
  overrideConfig: [tseslint.configs.disableTypeChecked, { languageOptions: { parserOptions: { project: null } } }],
  ruleFilter: ({ ruleId }) => /^house\/|^no-restricted-(imports|properties)$/.test(ruleId),
});

async function problems(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return result?.messages.map(({ message }) => message) ?? [];
}

const folders = Object.keys(layers);
const file = (folder: string, depth = 0): string => `src/${folder}/${'nested/'.repeat(depth)}planted.ts`;

describe('layers', () => {
  const pairs = folders.flatMap((from) => folders.map((to) => [from, to] as const)).filter(([from, to]) => from !== to);

  it.each(pairs)('%s -> %s', async (from, to) => {
    const allowed = layers[from]?.includes(to) ?? false;
    const found = await problems(file(from), `import { x } from '../${to}/some-file.js';\nx();`);
    expect(found).toHaveLength(allowed ? 0 : 1);
    if (!allowed) expect(found[0]).toMatch(`src/${from} may not import ${to}/some-file.ts`);
  });

  it.each(folders)('%s may import itself, and neither wiring nor settings', async (folder) => {
    expect(await problems(file(folder, 1), `import '../sibling.js';\nimport './${folder}/deeper.js';`)).toEqual([]);
    for (const upwards of ['config', 'app', 'main', 'cli/main']) {
      expect(await problems(file(folder), `import '../${upwards}.js';`)).toHaveLength(1);
    }
  });

  it('opens a single file of a folder where the table names one', async () => {
    expect(await problems(file('engine'), "import type { A } from '../prefix/kv.js';")).toEqual([]);
    expect(await problems(file('model'), "import type { A } from '../engine/runner.js';")).toEqual([]);
    expect(await problems(file('model'), "import type { A } from '../engine/request.js';")).toHaveLength(1);
  });

  it('sees through every form of import', async () => {
    for (const code of [
      "import '../runtime/api.js';",
      "import type { A } from '../runtime/api.js';",
      "export { a } from '../runtime/api.js';",
      "export * from '../runtime/api.js';",
      "await import('../runtime/api.js');",
      "export type A = import('../runtime/api.js').A;",
      "import '../../src/runtime/ort/api.js';",
    ]) {
      expect(await problems(file('engine'), code), code).toHaveLength(1);
    }
  });

  it('leaves wiring free', async () => {
    for (const folder of folders) {
      expect(await problems('src/app/app.ts', `import './${folder}/x.js';`)).toEqual([]);
      expect(await problems('src/cli/x.ts', `import '../${folder}/x.js';`)).toEqual([]);
    }
  });
});

describe('packages', () => {
  const everywhere = ['', 'cli', ...folders];

  it.each(Object.entries(packages))('%s only in [%s]', async (name, owners) => {
    const source = name.startsWith('@') && !name.includes('/') ? `${name}/anything` : name;
    for (const folder of everywhere) {
      const found = await problems(folder ? file(folder) : 'src/planted.ts', `import x from '${source}';\nx();`);
      expect(found, folder).toHaveLength(owners.includes(folder) ? 0 : 1);
    }
  });
});

describe('process.env', () => {
  it('is read only in config.ts', async () => {
    for (const code of ['process.env.PORT;', "process['env'];", 'const { env } = process;', "import 'node:process';"]) {
      expect(await problems('src/app/app.ts', code), code).toHaveLength(1);
    }
    expect(await problems('src/config/config.ts', 'process.env.PORT;')).toEqual([]);
  });
});
