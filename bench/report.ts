import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { packageRoot } from '#src/config.js';

import { median, type Rates } from './workload.js';

interface Package {
  /** Exact versions. */
  readonly dependencies: Readonly<Record<string, string>>;
}

/** All measurements of one target at one number of rows. */
export interface Result {
  readonly target: string;
  readonly rows: number;
  readonly runs: readonly Rates[];
}

/** What the numbers depend on beside the code. */
export function environment(): Record<string, unknown> {
  const { dependencies } = JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as Package;
  return {
    date: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    onnxruntime: dependencies['onnxruntime-node'],
    koffi: dependencies['koffi'],
    cpu: os.cpus()[0]?.model,
    cpus: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
  };
}

/** Medians, with the range of the runs in brackets. */
export function table(results: readonly Result[]): string {
  const header = ['rows', 'target', 'decode tok/s', 'over 1 row', 'overall tok/s', 'first token ms'];
  const body = results.map((result) => {
    const base = results.find(({ target, rows }) => target === result.target && rows === 1);
    const ratio = base ? `${(pick(result, 'decode') / pick(base, 'decode')).toFixed(2)}x` : '';
    const cells = (['decode', 'overall', 'firstToken'] as const).map((key) => withRange(result, key));
    return [String(result.rows), result.target, cells[0] ?? '', ratio, cells[1] ?? '', cells[2] ?? ''];
  });
  const lines = [header, ...body];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) => line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  ')).join('\n');
}

function pick({ runs }: Result, key: keyof Rates): number {
  return median(runs.map((run) => run[key]));
}

function withRange(result: Result, key: keyof Rates): string {
  const values = result.runs.map((run) => run[key]);
  return `${pick(result, key).toFixed(0)} [${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}]`;
}

function commit(): string | undefined {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}
