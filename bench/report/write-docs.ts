import fs from 'node:fs/promises';
import path from 'node:path';

import { format, resolveConfig } from 'prettier';

import { packageRoot } from '#src/config/paths.js';
import { fillPage, pageParts, throughputChart } from './performance-page.js';
import type { Report } from './report.js';

const page = path.join(packageRoot, 'docs/performance.md');
const chart = path.join(packageRoot, 'docs/performance.svg');

/** Writes the generated parts of docs/performance.md, and its chart, from results files. */
export async function writeDocs(files: readonly string[]): Promise<void> {
  const reports = await Promise.all(files.map(async (file) => JSON.parse(await fs.readFile(file, 'utf8')) as Report));
  for (const { options } of reports) {
    if (options.beside !== undefined) throw new Error(`a run beside ${options.beside} has no figures for the page`);
  }
  const text = fillPage(await fs.readFile(page, 'utf8'), pageParts(reports));
  await fs.writeFile(page, await format(text, { ...(await resolveConfig(page)), filepath: page }));
  const hasRates = reports.some(({ suites }) => suites.some(({ name }) => name === 'decode'));
  if (hasRates) await fs.writeFile(chart, throughputChart(reports));
  const written = hasRates ? [page, chart] : [page];
  console.log(`Written: ${written.map((file) => path.relative(packageRoot, file)).join(', ')}`);
}
