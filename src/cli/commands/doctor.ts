import type { Command } from 'commander';

import type { Measured } from '../doctor/measure/measure.js';
import { print, table, type Io } from '../io.js';

interface DoctorOptions {
  readonly json?: boolean;
  readonly measure?: boolean;
}

/** `preamble doctor`: reports this machine's resources, the settings chosen for it, and problems that would prevent a start. */
export function addDoctor(program: Command, io: Io): void {
  program
    .command('doctor')
    .description(
      'Say what this machine offers, what Preamble chose for it and why, and what is wrong. ' +
        'Exit status 1: something would keep the server from starting. Nothing is changed.',
    )
    .option(
      '--measure',
      'time steps with other threads and chunk sizes, on the configured model; compiles it if needed',
    )
    .option('--json', 'print one line of JSON')
    .action(async (options: DoctorOptions) => {
      const fatal = await runDoctor(options, io);
      if (fatal > 0) throw new Error(`the server would not start; errors: ${fatal}`);
    });
}

/** Returns how many problems would keep the server from starting. */
async function runDoctor({ json, measure }: DoctorOptions, io: Io): Promise<number> {
  // Loaded here, because the other commands do not need the native library.
  const { examine } = await import('../doctor/examine.js');
  const { problemsOf, toJson, toText } = await import('../doctor/report.js');
  const { sections, measureModel } = await examine();
  const measured = measure ? await measureModel?.((line) => io.stderr.write(`${line}\n`)) : undefined;
  if (json) print(io, JSON.stringify({ ...toJson(sections), ...(measured && { measured }) }));
  else print(io, [...(measured ? [describe(measured)] : []), toText(sections)].join('\n\n'));
  return problemsOf(sections).filter(({ fatal }) => fatal).length;
}

function describe({ steps, chunks, fastest }: Measured): string {
  const round = (value: number): number => Number(value.toPrecision(3));
  const chunkTable = table(
    ['CHUNK', 'ROWS', 'MS', 'SLOWDOWN', 'PROMPT TOKENS/S'],
    chunks.map((c) => [
      c.chunk_tokens,
      c.rows,
      round(c.milliseconds),
      round(c.slowdown),
      round(c.prompt_tokens_per_second),
    ]),
  );
  return [
    table(
      ['THREADS', 'SPIN', 'ROWS', 'MS', 'TOKENS/S'],
      steps.map((s) => [s.threads, s.spin, s.rows, round(s.milliseconds), round(s.tokens_per_second)]),
    ),
    ...(chunks.length > 0 ? [chunkTable] : []),
    table(
      ['FASTEST HERE', ''],
      fastest.map(({ variable, value, why }) => [`${variable}=${value}`, why]),
    ),
  ].join('\n\n');
}
