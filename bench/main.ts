import path from 'node:path';

import { packageRoot } from '#src/config/config.js';
import { thisBuild } from './process/build.js';
import { busyShare } from './process/busy.js';
import { type Options, readOptions, usage } from './options.js';
import { randomModel } from './inputs/random-model.js';
import { ReportFile, type SuiteReport } from './report/report.js';
import type { BenchContext, Suite } from './suite.js';
import { suites } from './suites/index.js';
import { textTable } from './report/text-table.js';
import { writeDocs } from './report/write-docs.js';

const bench = path.join(packageRoot, 'bench');
/** What a machine does by itself. */
const QUIET = 0.1;
const names = suites.map(({ name }) => name);

// Ended by hand, the programs that were started go too: they hang on `exit`.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

await main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), names);
  if (options.help) console.log(usage(names));
  else if (options.writeDocs.length > 0) await writeDocs(options.writeDocs);
  else await run(options);
}

async function run(options: Options): Promise<void> {
  console.log('Model: a random GPT-2 of 12 layers, 768 wide, 12 heads, context 1024, vocabulary 50257');
  const cache = path.join(bench, '.cache');
  const checkpoint = await randomModel(cache);
  const busy = await busyShare();
  if (busy > QUIET)
    console.log(`Others keep the CPUs ${Math.round(100 * busy)}% busy: the figures will be theirs too.`);
  const report = new ReportFile(path.join(bench, 'results'), options, busy);
  for (const suite of suites.filter(({ name }) => options.suites.includes(name))) {
    console.log(`\n== ${suite.name}: ${suite.question}`);
    await measure(suite, report, {
      options,
      build: thisBuild,
      checkpoint,
      cache: path.join(cache, 'compiled'),
      log: (line) => console.log(line),
      keep: (findings) => report.write({ ...headOf(suite), findings, state: 'cut' }),
    });
  }
  console.log(`\nWritten to ${path.relative(packageRoot, report.path)}`);
}

/** A suite that fails is reported, and the others go on. */
async function measure(suite: Suite, report: ReportFile, context: BenchContext): Promise<void> {
  try {
    const findings = await suite.run(context);
    console.log(`\n${textTable(findings)}`);
    await report.write({ ...headOf(suite), findings, state: 'whole' });
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    await report.write({
      ...headOf(suite),
      findings: report.findings(suite.name),
      state: 'failed',
      error: String(error),
    });
  }
}

function headOf({ name, question }: Suite): Pick<SuiteReport, 'name' | 'question'> {
  return { name, question };
}
