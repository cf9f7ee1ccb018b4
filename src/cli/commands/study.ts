import fs from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { Command } from 'commander';

import { readSettings } from '../../config/config.js';
import { openConfiguredModel } from '../../app/open/model.js';
import { defaultMaxLength } from '../../prefix/adapter/format.js';
import { compileProgress } from '../../app/compile-progress.js';
import { separatorOf } from '../../tuning/data/read-examples.js';
import { TuningError } from '../../tuning/errors.js';
import { SpecError } from '../../study/errors.js';
import type { StudySpec } from '../../study/spec.js';
import type { StudyOutcome } from '../../study/study.js';
import { openWithWarnings } from '../open-training-model.js';
import { type Io, print } from '../io.js';
import { tooLongWords } from '../../tuning/data/too-long.js';
import { bySpecField, specFieldOf } from '../tuning-options.js';
import { progressPrinter as evaluationPrinter } from './evaluate.js';
import { progressPrinter as trainingPrinter } from './tune.js';

interface StudyOptions {
  readonly out?: string;
  readonly dryRun?: boolean;
}

/** `preamble study`: trains a table of runs and reports on them. */
export function addStudy(program: Command, io: Io): void {
  program
    .command('study')
    .description('Train and measure a table of runs, and report on them with tables and plots; see docs/studies.md.')
    .argument('<spec>', 'JSON: data, and the settings that vary')
    .option('--out <dir>', 'receives the report and the runs; a study that was cut off goes on there')
    .option('--dry-run', 'list the runs')
    .action(async (file: string, options: StudyOptions, command: Command) => {
      const { parseSpec } = await import('../../study/spec.js');
      const content = await fs.readFile(file, 'utf8');
      const spec = await naming(file, () => parseSpec(content));
      await naming(file, () => refuseDirectories(spec, dirname(file)));
      if (options.dryRun) return listRuns(spec, io);
      if (options.out === undefined) return command.error('error: --out or --dry-run is needed', { exitCode: 2 });
      const job = { spec, directory: dirname(resolve(file)), out: resolve(options.out) };
      const outcome = await runSpec(job, io).catch(nameSpecField);
      if (outcome.interrupted) throw new Error(`interrupted after ${outcome.runs} runs; the same command goes on`);
      print(io, `${outcome.runs} runs: ${resolve(options.out, 'report.md')}`);
    });
}

interface StudyJob {
  readonly spec: StudySpec;
  /** Directory that the spec's paths are relative to. */
  readonly directory: string;
  readonly out: string;
}

/** Refuses directories as `init`. `preamble tune` starts from an adapter's directory, but a study would take its path for words. */
async function refuseDirectories({ parts }: StudySpec, directory: string): Promise<void> {
  const { isDirectory } = await import('../../tuning/start/start-rows.js');
  for (const [part, { axes }] of parts.entries()) {
    for (const [index, init] of (axes.init ?? []).entries()) {
      if (init === 'random' || !(await isDirectory(resolve(directory, init)))) continue;
      throw new SpecError(
        `parts[${part}].axes.init[${index}]: ${init} is a directory; a study starts from words or at random`,
      );
    }
  }
}

async function listRuns(spec: StudySpec, io: Io): Promise<void> {
  const { planParts, runNames } = await import('../../study/plan.js');
  print(io, runNames(planParts(spec)).join('\n'));
}

async function runSpec({ spec, directory, out }: StudyJob, io: Io): Promise<StudyOutcome> {
  const settings = readSettings(['model']);
  const { readStudyData } = await import('../../study/data.js');
  const { runStudy } = await import('../../study/study.js');

  const source = spec.model === undefined ? settings.model : resolve(directory, spec.model);
  const config = { ...settings, model: source };
  const interrupt = new AbortController();
  const onSigint = (): void => interrupt.abort();
  process.once('SIGINT', onSigint); // a second Ctrl-C ends the process at once
  const given = spec.model === undefined ? 'PREAMBLE_MODEL' : 'model';
  const { training, base, tokenizer, conversation } = await openWithWarnings(config, given, io);
  try {
    const separator = separatorOf(training.options.manifest, (ids) => tokenizer.decode(ids));
    const data = await readStudyData(spec, directory, { separator, conversation });
    const served = await openConfiguredModel(config, compileProgress(io.stderr));
    try {
      return await runStudy({
        spec,
        model: { training, served, tokenizer },
        base,
        maxLength: defaultMaxLength(base),
        data,
        out,
        signal: interrupt.signal,
        onTooLong: ({ name }, { subject, ...counts }) => {
          io.stderr.write(`${name}: ${specFieldOf(subject)}: ${tooLongWords(counts)}\n`);
        },
        onTraining: perRun((name) => trainingPrinter(io, name)),
        onEvaluation: perRun((name) => evaluationPrinter(io, name)),
      });
    } finally {
      await served.dispose();
    }
  } finally {
    process.off('SIGINT', onSigint);
    await training.dispose();
  }
}

function nameSpecField(error: unknown): never {
  throw error instanceof TuningError ? new Error(bySpecField(error), { cause: error }) : error;
}

/** A callback that reports each run's progress to a new printer, because a printer remembers when it printed last. */
function perRun<T>(printerOf: (name: string) => (progress: T) => void): (run: { name: string }, progress: T) => void {
  let [current, printer] = ['', (_: T): void => undefined];
  return ({ name }, progress) => {
    if (name !== current) [current, printer] = [name, printerOf(name)];
    printer(progress);
  };
}

async function naming<T>(file: string, check: () => T | Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    throw new SpecError(`${file}: ${error.message}`, { cause: error });
  }
}
