import fs from 'node:fs/promises';
import { resolve } from 'node:path';

import { type Command, Option } from 'commander';

import { readSettings } from '../../config/config.js';
import type { Evaluation, EvaluationModel, EvaluationProgress } from '../../evaluation/evaluate.js';
import type { GenerationSettings } from '../../evaluation/generate.js';
import { SCORE_LABELS, SCORE_NAMES, type ScoreName } from '../../evaluation/scores/names.js';
import { openConfiguredModel } from '../../app/open/model.js';
import { compileProgress } from '../../app/compile-progress.js';
import { DATA_FORMATS, type DataFormat, readExamples, separatorOf } from '../../tuning/data/read-examples.js';
import { openWithWarnings } from '../open-training-model.js';
import { type Io, print, table } from '../io.js';
import { count, finite } from '../numbers.js';

/** Options of an evaluation. */
export interface EvaluateOptions {
  readonly model?: string;
  readonly data: string;
  readonly format?: DataFormat;
  readonly prefix?: readonly string[];
  readonly lossOnly?: boolean;
  readonly beams: number;
  readonly lengthPenalty: number;
  readonly maxTokens: number;
  readonly minTokens?: number;
  readonly uniqueNgrams?: number;
  readonly earlyStopping: 'true' | 'false' | 'never';
  readonly scores?: readonly ScoreName[];
  readonly limit?: number;
  readonly predictions?: string;
  readonly json?: boolean;
}

/** One evaluation, and the directory of its prefix; null: the bare model. */
export interface Result extends Evaluation {
  readonly prefix: string | null;
}

const earlyStopping = new Option('--early-stopping <when>', 'end a search at as many texts as beams')
  .choices(['true', 'false', 'never'])
  .default('false');

/** `preamble evaluate`: loss on data, and scores of the texts that a prefix generates. */
export function addEvaluate(program: Command, io: Io): void {
  const command = program
    .command('evaluate')
    .description('Measure prefixes on data: loss, and generated texts against references. No server is needed.')
    .option(
      '--prefix <dir...>',
      'adapters: directories, A+B for several in a row, or 1.5*A,-0.5*base for a blend (default: the bare model)',
    );
  withEvaluationOptions(command)
    .option('--predictions <file>', 'receives a line of JSON for each text')
    .option('--json', 'print one line of JSON')
    .action(async (options: EvaluateOptions) => {
      refuseContradictory(options, command);
      const results = await runEvaluate(options, io);
      if (options.predictions !== undefined) await fs.writeFile(options.predictions, predictionLines(results));
      print(io, options.json ? JSON.stringify(results.map(withoutTexts)) : describe(results));
    });
}

/** Adds the options of the data and of what is measured on it. */
export function withEvaluationOptions(command: Command): Command {
  return command
    .option('--model <dir>', 'checkpoint or compiled model (default: PREAMBLE_MODEL)')
    .requiredOption('--data <file>', 'data: .jsonl, .txt (E2E) or .json (WebNLG, DART); see docs/tuning.md')
    .addOption(new Option('--format <format>', 'of the data (default: by the name)').choices(DATA_FORMATS))
    .option('--loss-only', 'generate nothing')
    .option('--beams <n>', 'width of the beam search', count(1), 5)
    .option('--length-penalty <n>', 'above 0 favours longer texts', finite, 1)
    .option('--max-tokens <n>', 'tokens of one text', count(1), 100)
    .option('--min-tokens <n>', 'fewest tokens of one text (default: what the checkpoint says, or 0)', count(0))
    .option('--unique-ngrams <n>', 'repeat no run of so many tokens; 0: off (default: as --min-tokens)', count(0))
    .addOption(earlyStopping)
    .addOption(new Option('--scores <name...>', 'scores of the texts; see docs/tuning.md').choices(SCORE_NAMES))
    .option('--limit <n>', 'use the first so many sources', count(1));
}

/** Ends the program with wrong usage where options exclude each other. */
export function refuseContradictory(options: EvaluateOptions, command: Command): void {
  if (options.lossOnly && options.predictions !== undefined) {
    command.error('error: --predictions makes no sense with --loss-only', { exitCode: 2 });
  }
  if (options.lossOnly && options.scores !== undefined) {
    command.error('error: --scores makes no sense with --loss-only', { exitCode: 2 });
  }
  if ((options.minTokens ?? 0) > options.maxTokens) {
    command.error(`error: --min-tokens is more than --max-tokens, which is ${options.maxTokens}`, { exitCode: 2 });
  }
}

/** Evaluates each prefix, after all files were found to be readable or writable. */
export async function runEvaluate(options: EvaluateOptions, io: Io): Promise<Result[]> {
  const settings = readSettings(['model']);
  const { evaluate } = await import('../../evaluation/evaluate.js');
  const { firstSources } = await import('../../evaluation/sources.js');
  const { loadMixture } = await import('../../evaluation/mixture.js');

  const config = { ...settings, model: resolve(options.model ?? settings.model) };
  const source = options.model === undefined ? 'PREAMBLE_MODEL' : '--model';
  const { training, base, tokenizer, conversation } = await openWithWarnings(config, source, io);
  try {
    const separator = separatorOf(training.options.manifest, (ids) => tokenizer.decode(ids));
    const form = { format: options.format, separator, conversation };
    const all = await readExamples(options.data, { subject: 'data', ...form });
    const examples = firstSources(all, options.limit ?? Infinity);
    for (const adapter of options.prefix ?? []) await loadMixture(adapter, { base });
    if (options.predictions !== undefined) await refuseUnwritable(options.predictions);
    const served = await openConfiguredModel(config, compileProgress(io.stderr));
    try {
      const model: EvaluationModel = { training, served, tokenizer };
      const generation = options.lossOnly ? undefined : toSettings(options);
      const results: Result[] = [];
      for (const adapter of options.prefix ?? [undefined]) {
        const onProgress = progressPrinter(io, adapter ?? served.base.id);
        const evaluation = await evaluate(model, { examples, adapter, generation, scores: options.scores, onProgress });
        results.push({ prefix: adapter ?? null, ...evaluation });
      }
      return results;
    } finally {
      await served.dispose();
    }
  } finally {
    await training.dispose();
  }
}

function toSettings({ uniqueNgrams, earlyStopping, ...options }: EvaluateOptions): GenerationSettings {
  const { beams, lengthPenalty, maxTokens, minTokens } = options;
  const early = earlyStopping === 'never' ? earlyStopping : earlyStopping === 'true';
  return { beams, lengthPenalty, maxTokens, minTokens, noRepeatNgramSize: uniqueNgrams, earlyStopping: early };
}

/** Throws unless the file can be written. Creates an empty one where there is none. */
async function refuseUnwritable(predictions: string): Promise<void> {
  try {
    await (await fs.open(predictions, 'a')).close();
  } catch (error) {
    throw new Error(`--predictions: ${(error as Error).message}`, { cause: error });
  }
}

/** Prints progress about every five seconds. */
export function progressPrinter(io: Io, name: string): (progress: EvaluationProgress) => void {
  let printed = performance.now();
  return ({ phase, done, total }) => {
    if (performance.now() - printed < 5000) return;
    printed = performance.now();
    io.stderr.write(`${name}: ${phase} ${done} of ${total}\n`);
  };
}

function predictionLines(results: readonly Result[]): string {
  return results
    .flatMap(({ prefix, predictions }) => predictions.map((one) => `${JSON.stringify({ prefix, ...one })}\n`))
    .join('');
}

/** A result as a program reads it, without the texts. */
export function withoutTexts({ predictions: _, scores, ...result }: Result): Record<string, unknown> {
  return { ...result, ...scores };
}

function describe(results: readonly Result[]): string {
  const names = SCORE_NAMES.filter((name) => results[0]?.scores?.[name] !== undefined);
  const rows = results.map(({ prefix, loss, perplexity, scores }) => [
    prefix ?? '(none)',
    loss.toFixed(4),
    perplexity.toFixed(2),
    ...names.map((name) => scores?.[name]?.toFixed(4) ?? ''),
  ]);
  return table(['PREFIX', 'LOSS', 'PERPLEXITY', ...names.map((name) => SCORE_LABELS[name].toUpperCase())], rows);
}
