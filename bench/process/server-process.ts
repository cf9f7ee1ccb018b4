import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { BenchContext } from '../suite.js';
import { mainOf, thisBuild } from './build.js';
import { endChild, startChild } from './child.js';
import { cpuSeconds, type Resident, residentMemory } from './usage.js';

/** Milliseconds that a server may take until it prints its address, in which its first start compiles the model. */
const START_TIMEOUT = 5 * 60_000;
/** prom-client's metric of perf_hooks' histogram: since the last scrape, the period of the histogram's timer included. */
const DELAY_P99 = /^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)$/m;
/** Period of the histogram's timer, in milliseconds. */
const DELAY_PERIOD = 10;

/**
 * Starts the server of the context's build: its checkpoint, its compiled models, and the threads that everything gets. There are no drafts:
 * what a random model says repeats itself, and what is measured are steps.
 * @param settings further environment variables, which win over these
 * @param program the script that Node runs; it prints its address as `dist/main.js` does
 */
export function startServer(
  { build, cache, checkpoint, options }: BenchContext,
  settings: Readonly<Record<string, string>> = {},
  program = mainOf(build),
): Promise<ServerProcess> {
  const threads = options.threads === undefined ? {} : { PREAMBLE_THREADS: String(options.threads) };
  const knowsDrafts = build.name === thisBuild.name; // another commit may refuse the variable
  const drafts = knowsDrafts ? { PREAMBLE_SPECULATE: 'off' } : {};
  const own = { PREAMBLE_MODEL: checkpoint, PREAMBLE_CACHE: cache, ...drafts, ...threads };
  return ServerProcess.start({ ...own, ...settings }, program);
}

/** A Preamble server in a process of its own, so that a client in this process takes none of the server's event loop. */
export class ServerProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly directory: string,
    readonly url: string,
    /** Milliseconds from the start of the process until `/readyz` was 200. */
    readonly readyAfter: number,
  ) {}

  /**
   * Starts a server on a free port and waits until it is ready. Unless `settings` say otherwise, prefixes go to a directory that
   * is removed with it.
   * @param settings its environment, beside PATH
   * @param program the script that Node runs; it prints its address as `dist/main.js` does
   */
  static async start(settings: Readonly<Record<string, string>>, program = mainOf(thisBuild)): Promise<ServerProcess> {
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-bench-'));
    const own = { PORT: '0', PREAMBLE_STORE: `file:${directory}/prefixes`, PREAMBLE_LOG_LEVEL: 'silent' };
    const begin = performance.now();
    const child = startChild(process.execPath, [program], {
      cwd: directory,
      env: { PATH: process.env['PATH'], ...own, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      const url = await addressOf(child);
      const ready = await fetch(`${url}/readyz`);
      if (ready.status !== 200) throw new Error(`/readyz: ${ready.status} ${await ready.text()}`);
      return new ServerProcess(child, directory, url, performance.now() - begin);
    } catch (error) {
      await endChild(child);
      await fs.rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Runs `work` on the server before the server is measured; stops the server if `work` fails. */
  async prepare(work: (url: string) => Promise<void>): Promise<this> {
    try {
      await work(this.url);
      return this;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Null while the server runs. */
  get exitStatus(): number | null {
    return this.child.exitCode;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** Resident memory now. @throws Error on a system without Linux's `/proc` */
  resident(): Promise<Resident> {
    return residentMemory(this.pid);
  }

  /** CPU time since its start, all threads. @throws Error on a system without Linux's `/proc` */
  cpuSeconds(): Promise<number> {
    return cpuSeconds(this.pid);
  }

  /** 99th percentile of the event loop's delay since the last call, in milliseconds. */
  async eventLoopDelay(): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const seconds = DELAY_P99.exec(text)?.[1];
    if (seconds === undefined) throw new Error('/metrics has no nodejs_eventloop_lag_p99_seconds');
    return Math.max(0, Number(seconds) * 1000 - DELAY_PERIOD);
  }

  /** Ends the server and removes its files. */
  async stop(): Promise<void> {
    await endChild(this.child);
    await fs.rm(this.directory, { recursive: true, force: true });
  }
}

/** Address that the server prints when it listens. */
async function addressOf(child: ChildProcess): Promise<string> {
  let [out, err] = ['', ''];
  child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
  const late = AbortSignal.timeout(START_TIMEOUT);
  return new Promise((resolve, reject) => {
    const fail = (problem: string): void => reject(new Error(`the server ${problem}: ${err}`));
    late.addEventListener('abort', () => fail('does not start'));
    child.once('error', reject).once('exit', () => fail('has ended'));
    child.stdout?.on('data', (data: Buffer) => {
      out += data.toString();
      const url = /listens on (http:\/\/\S+)/.exec(out)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
}
