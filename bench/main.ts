import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';
import { buildCommit, resolveCommit } from './beside/commit-build.js';
import { runBeside, type SuiteResult } from './beside/run-beside.js';
import { randomModel } from './inputs/random-model.js';
import { PREFIX_COLUMNS } from './load/workload.js';
import { type Options, readOptions, usage } from './options.js';
import { type Build, thisBuild } from './process/build.js';
import { busyShare } from './process/busy.js';
import { ReportFile } from './report/report.js';
import { textTable } from './report/text-table.js';
import { writeDocs } from './report/write-docs.js';
import type { BenchContext, Suite } from './suite.js';
import { suites } from './suites/index.js';

const bench = path.join(packageRoot, 'bench');
/** Busy share of a machine that runs nothing but its own services. */
const QUIET = 0.1;

// The programs that the bench started are killed on `exit`, which a signal alone would skip.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

await main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), suites);
  if (options.help) console.log(usage(suites));
  else if (options.writeDocs.length > 0) await writeDocs(options.writeDocs);
  else await run(options);
}

async function run(options: Options): Promise<void> {
  const commit = options.beside === undefined ? undefined : resolveCommit(options.beside);
  console.log('Model: a random GPT-2 of 12 layers, 768 wide, 12 heads, context 1024, vocabulary 50257');
  const cache = path.join(bench, '.cache');
  const checkpoint = await randomModel(cache);
  const other = commit === undefined ? undefined : await buildCommit(commit, path.join(cache, 'beside'));
  const busy = await busyShare();
  if (busy > QUIET)
    console.log(`Others keep the CPUs ${Math.round(100 * busy)}% busy: the figures will be theirs too.`);
  const report = new ReportFile(path.join(bench, 'results'), options, busy);
  for (const suite of suites.filter(({ name }) => options.suites.includes(name))) {
    console.log(`\n== ${suite.name}: ${suite.question}`);
    const { name, question } = suite;
    const context: BenchContext = {
      options,
      build: thisBuild,
      checkpoint,
      prefixColumns: PREFIX_COLUMNS,
      cache: path.join(cache, 'compiled'),
      log: (line) => console.log(line),
      keep: (findings) => report.write({ name, question, findings, state: 'cut' }),
    };
    await measure(suite, report, context, other);
  }
  console.log(`\nWritten to ${path.relative(packageRoot, report.path)}`);
}

/** Runs a suite and reports it; the failure of a suite does not end the run. */
async function measure(suite: Suite, report: ReportFile, context: BenchContext, other?: Build): Promise<void> {
  const { name, question } = suite;
  try {
    const result = other === undefined ? await runAlone(suite, context) : await runBeside(suite, context, other);
    console.log(`\n${result.text}`);
    await report.write({ name, question, findings: result.findings, state: 'whole' });
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    await report.write({ name, question, findings: report.findings(name), state: 'failed', error: String(error) });
  }
}

async function runAlone(suite: Suite, context: BenchContext): Promise<SuiteResult> {
  const findings = await suite.run(context);
  return { findings, text: textTable(findings) };
}
