import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string): Promise<string> => readFile(path.join(root, file), 'utf8');
const decisions = (await readdir(path.join(root, 'docs/decisions'))).map((name) => `docs/decisions/${name}`);
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'docker/README.md',
  'console/README.md',
  'docs/batches.md',
  'docs/clients.md',
  'docs/console.md',
  'docs/devices.md',
  'docs/glossary.md',
  'docs/models.md',
  'docs/operations.md',
  'docs/performance.md',
  'docs/settings.md',
  'docs/studies.md',
  'docs/tuning.md',
  'docs/versions.md',
  'examples/README.md',
  'findings/README.md',
  ...decisions,
];

describe('documents', () => {
  it('list every setting, and no other', async () => {
    const names = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].flatMap((m) => m[1] ?? []);
    const settings = names(await read('src/config/variables.ts'), /(?:variable|integer|choice)\(\s*'([A-Z_]+)'/g);
    const documented = names(await read('docs/settings.md'), /^\| `([A-Z_]+)`/gm);
    expect(settings).not.toHaveLength(0);
    expect(documented.sort()).toEqual(settings.sort());
  });

  it.each(pages)('%s links to files that exist', async (page) => {
    const links = [...(await read(page)).matchAll(/\]\((?!https?:)([^)#]+)/g)].flatMap((match) => match[1] ?? []);
    const missing = links.filter((link) => !existsSync(path.resolve(root, path.dirname(page), link)));
    expect(missing).toEqual([]);
  });

  it.each(pages)('%s links to headings that exist', async (page) => {
    const links = [...(await read(page)).matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)];
    for (const [, file = '', heading = ''] of links) {
      const target = file === '' ? page : path.join(path.dirname(page), file);
      expect(headingsOf(await read(target)), `${target}#${heading}`).toContain(heading);
    }
  });

  it('describe the architecture in at most 80 lines, with files that exist', async () => {
    const text = await read('ARCHITECTURE.md');
    expect(text.split('\n').length).toBeLessThanOrEqual(81);
    const files = [...text.matchAll(/`((?:src|test)\/[\w./-]+)`/g)].flatMap((match) => match[1] ?? []);
    expect(files.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  });
});

/** Anchors of a page's headings, as GitHub makes them. */
function headingsOf(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase());
  return headings.map((heading) => heading.replaceAll(/[^\w -]/g, '').replaceAll(' ', '-'));
}
