import { resolve } from 'node:path';

import { type Command, Option } from 'commander';

import { readSettings } from '../../config/config.js';
import { defaultMaxLength } from '../../prefix/adapter/format.js';
import { DATA_FORMATS, type DataFormat, readExamples, separatorOf } from '../../tuning/data/read-examples.js';
import type { DataSubject } from '../../tuning/errors.js';
import type { TrainingExample } from '../../tuning/data/example.js';
import { TOO_LONG, type TooLong, tooLongWords } from '../../tuning/data/too-long.js';
import type { ProgressLine } from '../../tuning/progress/progress-meter.js';
import {
  DEFAULT_PATIENCE,
  LOSS_MEANS,
  type LossMean,
  TUNE_DEFAULTS,
  type TuneSettings,
} from '../../tuning/settings.js';
import type { TuneResult } from '../../tuning/tune.js';
import { METHODS, type Method } from '../../tuning/method.js';
import { type Io, print } from '../io.js';
import { count, positive } from '../numbers.js';
import { optionOf } from '../tuning-options.js';

interface TuneOptions {
  readonly model?: string;
  readonly train: string;
  readonly valid?: string;
  readonly format?: DataFormat;
  readonly out: string;
  readonly method: Method;
  readonly sites?: readonly string[];
  readonly length?: number;
  readonly mlp: number;
  readonly init: string;
  readonly lossMean: LossMean;
  readonly tooLong: TooLong;
  readonly lr: number;
  readonly epochs: number;
  readonly maxSteps?: number;
  readonly warmupSteps: number;
  readonly batchSize: number;
  readonly earlyStopping?: boolean;
  readonly patience: number;
  readonly evalEvery: number;
  readonly checkpointEvery: number;
  readonly seed: number;
  readonly json?: boolean;
}

/** `preamble tune`: trains a prefix on the frozen model and writes what PEFT loads. */
export function addTune(program: Command, io: Io): void {
  const defaults = TUNE_DEFAULTS;
  program
    .command('tune')
    .description(
      'Train a prefix on the frozen model (Li & Liang 2021) and write the files that PEFT and the server take.',
    )
    .option('--model <dir>', 'checkpoint or compiled model; it is not written to (default: PREAMBLE_MODEL)')
    .requiredOption('--train <file>', 'data: .jsonl, .txt (E2E) or .json (WebNLG, DART); see docs/tuning.md')
    .option('--valid <file>', 'validation data: the best prefix is kept')
    .addOption(new Option('--format <format>', 'of the data (default: by the name)').choices(DATA_FORMATS))
    .addOption(
      new Option('--too-long <what>', 'what becomes of examples that do not fit the context; cut: with shorter sources')
        .choices(TOO_LONG)
        .default(TOO_LONG[0]),
    )
    .requiredOption('--out <dir>', 'receives adapter, curves and checkpoints; a run that was cut off goes on there')
    .addOption(new Option('--method <method>', 'what is trained').choices(METHODS).default(defaults.method))
    .option('--sites <names>', 'of an encoder-decoder: any of encoder,decoder,cross (default: all)', commaSeparated)
    .option('--length <n>', `virtual tokens, at each site (default: ${defaults.length}, or those of --init)`, count(1))
    .option(
      '--mlp <width>',
      'hidden width of the MLP that the prefix comes from in training; 0: none',
      count(0),
      defaults.mlp,
    )
    .option('--init <start>', 'random, the directory of an adapter to go on from, or words', defaults.init)
    .addOption(
      new Option(
        '--loss-mean <over>',
        "mean over a step's sentences, each the sum of its tokens' losses, or over tokens",
      )
        .choices(LOSS_MEANS)
        .default(LOSS_MEANS[0]),
    )
    .option('--lr <rate>', 'learning rate, falling linearly to zero', positive, defaults.learningRate)
    .option('--epochs <n>', 'passes over the training data; no effect with --max-steps', count(1), defaults.epochs)
    .option(
      '--max-steps <n>',
      'number of steps, over as many epochs as that takes (default: those of --epochs)',
      count(0),
    )
    .option('--warmup-steps <n>', 'steps in which the learning rate rises', count(0), defaults.warmupSteps)
    .option('--batch-size <n>', 'examples in a step', count(1), defaults.batchSize)
    .option('--early-stopping', 'end when validation gets no better')
    .option('--patience <n>', 'validations without a better one that end early', count(1), DEFAULT_PATIENCE)
    .option('--eval-every <n>', 'steps between validations', count(1), defaults.evaluateEvery)
    .option('--checkpoint-every <n>', 'steps between checkpoints', count(1), defaults.checkpointEvery)
    .option('--seed <n>', 'the same seed gives the same file', count(0), defaults.seed)
    .option('--json', 'end with one line of JSON')
    .action(async (options: TuneOptions, command: Command) => {
      if (options.earlyStopping && options.valid === undefined) {
        command.error('error: --early-stopping needs --valid', { exitCode: 2 });
      }
      if (!options.earlyStopping && command.getOptionValueSource('patience') === 'cli') {
        command.error('error: --patience needs --early-stopping', { exitCode: 2 });
      }
      const result = await runTune(options, io);
      print(io, options.json ? JSON.stringify(result) : describe(result, options.out));
    });
}

function commaSeparated(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

async function runTune(options: TuneOptions, io: Io): Promise<TuneResult> {
  const settings = readSettings(['model']);
  const { openWithWarnings } = await import('../open-training-model.js');
  const { readInit } = await import('../../tuning/start/start-rows.js');
  const { tune } = await import('../../tuning/tune.js');

  const config = { ...settings, model: resolve(options.model ?? settings.model) };
  const source = options.model === undefined ? 'PREAMBLE_MODEL' : '--model';
  const { training, base, tokenizer, conversation } = await openWithWarnings(config, source, io);
  const interrupt = new AbortController();
  const onSigint = (): void => interrupt.abort(new Error('interrupted before training began'));
  process.once('SIGINT', onSigint); // a second Ctrl-C ends the process at once
  try {
    const { init, adapter } = await readInit(options.init);
    const separator = separatorOf(training.options.manifest, (ids) => tokenizer.decode(ids));
    const read = (file: string, subject: DataSubject): Promise<TrainingExample[]> =>
      readExamples(file, { subject, format: options.format, separator, conversation, signal: interrupt.signal });
    return await tune({
      model: training,
      base,
      encoder: tokenizer,
      settings: settingsOf({ ...options, init }),
      adapter,
      maxLength: settings.maxVirtualTokens ?? defaultMaxLength(base),
      train: await read(options.train, 'train'),
      valid: options.valid === undefined ? undefined : await read(options.valid, 'valid'),
      out: resolve(options.out),
      signal: interrupt.signal,
      onProgress: progressPrinter(io),
      onTooLong: ({ subject, ...counts }) => {
        io.stderr.write(`${optionOf(subject)}: ${tooLongWords(counts)}\n`);
      },
    });
  } finally {
    process.off('SIGINT', onSigint);
    await training.dispose();
  }
}

function settingsOf(options: TuneOptions): TuneSettings {
  return {
    method: options.method,
    sites: options.sites,
    length: options.length,
    mlp: options.mlp,
    init: options.init,
    lossMean: options.lossMean,
    tooLong: options.tooLong,
    learningRate: options.lr,
    epochs: options.epochs,
    maxSteps: options.maxSteps,
    warmupSteps: options.warmupSteps,
    batchSize: options.batchSize,
    evaluateEvery: options.evalEvery,
    patience: options.earlyStopping ? options.patience : undefined,
    checkpointEvery: options.checkpointEvery,
    seed: options.seed,
  };
}

/** Prints every validation and about one step a second. @param name of the run, where there are several */
export function progressPrinter(io: Io, name?: string): (line: ProgressLine) => void {
  const run = name === undefined ? '' : `${name}: `;
  let printed = -Infinity;
  return ({ point, total, tokensPerSecond, secondsLeft }) => {
    const validation = 'valid_loss' in point;
    const last = point.step === total;
    if (!validation && !last && performance.now() - printed < 1000) return;
    printed = performance.now();
    const loss = validation ? `validation loss ${point.valid_loss.toFixed(4)}` : `loss ${point.train_loss.toFixed(4)}`;
    const speed = `${Math.round(tokensPerSecond)} tokens/s, ${Math.ceil(secondsLeft)} s left`;
    io.stderr.write(`${run}step ${point.step}/${total}: ${loss}, ${speed}\n`);
  };
}

function describe(result: TuneResult, out: string): string {
  const loss = result.valid_loss ?? result.train_loss;
  const ended = {
    finished: 'Trained',
    early_stopping: 'Stopped early',
    time_limit: 'Out of time',
    interrupted: 'Interrupted',
  }[result.stop];
  const value =
    loss === null ? '' : `, ${result.valid_loss === null ? 'training' : 'validation'} loss ${loss.toFixed(4)}`;
  return `${ended} after ${result.steps} steps${value}: ${out}`;
}
