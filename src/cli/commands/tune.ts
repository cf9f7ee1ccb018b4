import { basename, resolve } from 'node:path';

import { type Command, InvalidArgumentError, Option } from 'commander';

import { readConfig } from '../../config.js';
import { compileProgress } from '../../progress.js';
import type { ProgressLine } from '../../tuning/progress-meter.js';
import type { TuneResult, TuneSettings } from '../../tuning/tune.js';
import { METHODS, type Method } from '../../tuning/method.js';
import { type Io, print } from '../io.js';

interface TuneOptions {
  readonly model?: string;
  readonly train: string;
  readonly valid?: string;
  readonly out: string;
  readonly method: Method;
  readonly length?: number;
  readonly mlp: number;
  readonly init: string;
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
  program
    .command('tune')
    .description(
      'Train a prefix on the frozen model (Li & Liang 2021) and write the files that PEFT and the server take.',
    )
    .option('--model <dir>', 'checkpoint or compiled model; it is not written to (default: PREAMBLE_MODEL)')
    .requiredOption('--train <file>', '.jsonl lines of {"prompt","completion"}: strings or arrays of token ids')
    .option('--valid <file>', 'validation data: the best prefix is kept')
    .requiredOption('--out <dir>', 'receives adapter, curves and checkpoints; a run that was cut off goes on there')
    .addOption(new Option('--method <method>', 'what is trained').choices(METHODS).default('prefix'))
    .option('--length <n>', 'virtual tokens (default: 10, or those of --init)', count(1))
    .option('--mlp <width>', 'hidden width of the MLP that the prefix comes from in training; 0: none', count(0), 512)
    .option('--init <start>', 'random, the directory of an adapter to go on from, or words', 'random')
    .option('--lr <rate>', 'learning rate, falling linearly to zero', rate, 5e-5)
    .option('--epochs <n>', 'passes over the training data', count(1), 10)
    .option('--max-steps <n>', 'end after so many steps', count(0))
    .option('--warmup-steps <n>', 'steps in which the learning rate rises', count(0), 0)
    .option('--batch-size <n>', 'examples in a step', count(1), 5)
    .option('--early-stopping', 'end when validation gets no better')
    .option('--patience <n>', 'validations without a better one that end early', count(1), 3)
    .option('--eval-every <n>', 'steps between validations', count(1), 50)
    .option('--checkpoint-every <n>', 'steps between checkpoints', count(1), 100)
    .option('--seed <n>', 'the same seed gives the same file', count(0), 101)
    .option('--json', 'end with one line of JSON')
    .action(async (options: TuneOptions, command: Command) => {
      if (options.earlyStopping && options.valid === undefined) {
        command.error('error: --early-stopping needs --valid', { exitCode: 2 });
      }
      const result = await runTune(options, io);
      print(io, options.json ? JSON.stringify(result) : describe(result, options.out));
    });
}

async function runTune(options: TuneOptions, io: Io): Promise<TuneResult> {
  const config = readConfig();
  const { compileModel, readManifest } = await import('../../model/compiled-model.js');
  const { baseModel } = await import('../../model/model.js');
  const { Tokenizer } = await import('../../tokenizer/tokenizer.js');
  const { readJsonl } = await import('../../tuning/read-jsonl.js');
  const { TrainingModel } = await import('../../tuning/training-model.js');
  const { tune } = await import('../../tuning/tune.js');

  const train = await readJsonl(options.train);
  const valid = options.valid === undefined ? undefined : await readJsonl(options.valid);
  const source = resolve(options.model ?? config.model);
  const directory = await compileModel({ source, cache: config.cache, onProgress: compileProgress(io.stderr) });
  const manifest = await readManifest(directory);
  if (manifest === undefined) throw new Error(`${directory}: not a compiled model`);
  const tokenizer = await Tokenizer.load(directory);
  const model = await TrainingModel.open({ directory, manifest, threads: config.threads });
  const interrupt = new AbortController();
  const onSigint = (): void => interrupt.abort();
  process.once('SIGINT', onSigint); // a second Ctrl-C ends the process at once
  try {
    return await tune({
      model,
      base: baseModel(config.modelName ?? basename(source), manifest),
      encode: (text) => tokenizer.encode(text),
      settings: settingsOf(options),
      train,
      valid,
      out: resolve(options.out),
      signal: interrupt.signal,
      onProgress: progressPrinter(io),
    });
  } finally {
    process.off('SIGINT', onSigint);
    await model.dispose();
  }
}

function settingsOf(options: TuneOptions): TuneSettings {
  return {
    method: options.method,
    length: options.length,
    mlp: options.mlp,
    init: options.init,
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

/** Prints every validation and, about once a second, a step. */
function progressPrinter(io: Io): (line: ProgressLine) => void {
  let printed = -Infinity;
  return ({ point, total, tokensPerSecond, secondsLeft }) => {
    const validation = 'valid_loss' in point;
    const last = point.step === total;
    if (!validation && !last && performance.now() - printed < 1000) return;
    printed = performance.now();
    const loss = validation ? `validation loss ${point.valid_loss.toFixed(4)}` : `loss ${point.train_loss.toFixed(4)}`;
    const speed = `${Math.round(tokensPerSecond)} tokens/s, ${Math.ceil(secondsLeft)} s left`;
    io.stderr.write(`step ${point.step}/${total}: ${loss}, ${speed}\n`);
  };
}

function describe(result: TuneResult, out: string): string {
  const loss = result.valid_loss ?? result.train_loss;
  const ended = { finished: 'Trained', early_stopping: 'Stopped early', interrupted: 'Interrupted' }[result.stop];
  const value =
    loss === null ? '' : `, ${result.valid_loss === null ? 'training' : 'validation'} loss ${loss.toFixed(4)}`;
  return `${ended} after ${result.steps} steps${value}: ${out}`;
}

function count(least: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,15}$/.test(text) && Number(text) >= least) return Number(text);
    throw new InvalidArgumentError(`not a whole number from ${least}.`);
  };
}

function rate(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('not a positive number.');
}
