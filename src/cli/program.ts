import { Command, CommanderError } from 'commander';

import { refuseUnknown } from '../config/config.js';
import { ConfigError } from '../config/error.js';
import { TuningError } from '../tuning/errors.js';
import { ClientError } from './client.js';
import { addBench } from './commands/bench.js';
import { addDoctor } from './commands/doctor.js';
import { addEvaluate } from './commands/evaluate.js';
import { addImportModel } from './commands/import-model.js';
import { addKey } from './commands/key.js';
import { addPrefix } from './commands/prefix.js';
import { addServe } from './commands/serve.js';
import { addStore } from './commands/store.js';
import { addStudy } from './commands/study.js';
import { addTenant } from './commands/tenant.js';
import { addTune } from './commands/tune.js';
import { addWorker } from './commands/worker.js';
import type { Io } from './io.js';
import { byOption } from './tuning-options.js';

/** Exit statuses of commands. */
const ExitStatus = { ok: 0, failed: 1, usage: 2 } as const;

/** Runs one command line and returns its exit status. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  try {
    await buildProgram(io).parseAsync(args, { from: 'user' });
    return ExitStatus.ok;
  } catch (error) {
    return report(error, io);
  }
}

function buildProgram(io: Io): Command {
  const program = new Command('preamble');
  program
    .description('One frozen model, a GPT-2, a BART or a Llama, serves many users, each with a prefix of their own.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .showHelpAfterError('(--help says more)')
    // The doctor reports unknown variables itself, among all other problems.
    .hook('preAction', (_, command) => {
      if (command.name() !== 'doctor') refuseUnknown();
    });
  // After the settings above: subcommands inherit those that are there when they are added.
  addServe(program, io);
  addWorker(program, io);
  addImportModel(program, io);
  addPrefix(program, io);
  addKey(program, io);
  addTenant(program, io);
  addStore(program, io);
  addTune(program, io);
  addEvaluate(program, io);
  addStudy(program, io);
  addDoctor(program, io);
  addBench(program, io);
  return program;
}

function report(error: unknown, io: Io): number {
  // Commander has printed its own message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitStatus.ok : ExitStatus.usage;
  io.stderr.write(`preamble: ${messageOf(error)}\n`);
  if (error instanceof ClientError || !(error instanceof ConfigError)) return ExitStatus.failed;
  return ExitStatus.usage;
}

function messageOf(error: unknown): string {
  if (error instanceof TuningError) return byOption(error);
  return error instanceof Error ? error.message : String(error);
}
