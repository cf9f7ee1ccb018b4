import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';
import { type Options, threadsOf } from '../options.js';
import { VERSIONS } from '../peers/versions.js';
import type { Finding } from '../suite.js';

interface Package {
  /** Exact versions. */
  readonly dependencies: Readonly<Record<string, string>>;
}

/** Machine and versions that the figures depend on. */
interface Facts {
  readonly date: string;
  readonly commit: string | undefined;
  readonly node: string;
  readonly onnxruntime: string | undefined;
  readonly cpu: string | undefined;
  readonly cpus: number;
  readonly threads: number;
  readonly memoryGiB: number;
  readonly platform: string;
  /** Share of the CPUs' time, 0 to 1, that other programs used before the bench began. */
  readonly busy: number;
  /** Versions that peers are installed as. */
  readonly peers: Readonly<Record<string, string>>;
}

export interface SuiteReport {
  readonly name: string;
  readonly question: string;
  readonly findings: readonly Finding[];
  /** `cut` while the suite runs, and in the report of a run that was interrupted there. */
  readonly state: 'whole' | 'cut' | 'failed';
  /** Message of the error. */
  readonly error?: string;
}

/** One run of the bench, as it is saved. */
export interface Report {
  readonly facts: Facts;
  readonly options: Options;
  readonly suites: readonly SuiteReport[];
}

/** Reads the machine and the versions. `threads` are those inside a step. */
function readFacts(threads: number, busy: number): Facts {
  const { dependencies } = JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as Package;
  return {
    date: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    onnxruntime: dependencies['onnxruntime-node'],
    cpu: cpuName(),
    cpus: os.availableParallelism(),
    threads,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    busy,
    peers: VERSIONS,
  };
}

/** Name of the CPU, with family, model and vector instructions, because virtual machines name no generation. */
function cpuName(): string | undefined {
  const name = os.cpus()[0]?.model;
  if (process.arch !== 'x64') return name;
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    const number = (field: string): string => new RegExp(`^${field}\\s*: (\\d+)`, 'm').exec(text)?.[1] ?? '?';
    const vectors = ['avx512f', 'avx2'].find((flag) => text.includes(` ${flag} `)) ?? 'no avx2';
    return `${name} (family ${number('cpu family')}, model ${number('model')}, ${vectors})`;
  } catch {
    return name;
  }
}

/** Results file of a run, rewritten whenever a suite has new findings. */
export class ReportFile {
  readonly path: string;
  #report: Report;

  constructor(directory: string, options: Options, busy: number) {
    const facts = readFacts(threadsOf(options), busy);
    this.path = path.join(directory, `${facts.date.replaceAll(':', '-')}.json`);
    this.#report = { facts, options, suites: [] };
  }

  findings(suite: string): readonly Finding[] {
    return this.#report.suites.find(({ name }) => name === suite)?.findings ?? [];
  }

  /** Adds or replaces a suite's report. The file is replaced by a rename, so that an interrupted run leaves a whole one. */
  async write(suite: SuiteReport): Promise<void> {
    const others = this.#report.suites.filter(({ name }) => name !== suite.name);
    this.#report = { ...this.#report, suites: [...others, suite] };
    await fs.mkdir(path.dirname(this.path), { recursive: true });
    await fs.writeFile(`${this.path}.tmp`, `${JSON.stringify(this.#report, undefined, 2)}\n`);
    await fs.rename(`${this.path}.tmp`, this.path);
  }
}

function commit(): string | undefined {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: packageRoot, encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}
