import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { expect, it } from 'vitest';

import { writeDocs } from '../../bench/report/write-docs.js';
import { packageRoot } from '../../src/config/paths.js';

it('keeps the figures of a run beside another commit out of the page', async () => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-docs-'));
  const page = path.join(packageRoot, 'docs/performance.md');
  const before = await fs.readFile(page, 'utf8');
  try {
    const file = path.join(directory, 'results.json');
    await fs.writeFile(file, JSON.stringify({ options: { beside: 'abc1234' }, suites: [] }));
    await expect(writeDocs([file])).rejects.toThrow('a run beside abc1234 has no figures for the page');
  } finally {
    await fs.rm(directory, { recursive: true });
  }
  expect(await fs.readFile(page, 'utf8')).toBe(before);
});
