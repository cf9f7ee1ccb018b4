import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { packageRoot } from '#src/config/config.js';
import { endChild, startChild } from './child.js';

/** How long a server may take to say where it listens. Milliseconds. */
const START_TIMEOUT = 60_000;
const MiB = 2 ** 20;
const MAIN = path.join(packageRoot, 'dist/main.js');
/** Prom-client's own, of perf_hooks' histogram: since the scrape before, the period of its timer included. */
const DELAY_P99 = /^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)$/m;
/** Milliseconds between two looks of that timer. */
const DELAY_PERIOD = 10;

/** Resident memory, MiB: all of it, and what it is backed by. */
export interface Resident {
  readonly total: number;
  /** Heaps, packed weights, keys and values. */
  readonly anonymous: number;
  /** Mapped files: weights, libraries, the program. */
  readonly file: number;
}

/** The shipped server, `dist/main.js`, in a process of its own: a client in this one takes none of its event loop. */
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
   * @param program another one than the shipped server, that says where it listens as that does
   */
  static async start(settings: Readonly<Record<string, string>>, program = MAIN): Promise<ServerProcess> {
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

  /** Null while it runs. */
  get exitStatus(): number | null {
    return this.child.exitCode;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** Resident memory now, from `/proc`. @throws Error where the system does not tell */
  async resident(): Promise<Resident> {
    const status = await fs.readFile(`/proc/${this.pid}/status`, 'utf8');
    const read = (field: string): number => {
      const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1];
      if (kilobytes === undefined) throw new Error(`/proc/${this.pid}/status has no ${field}`);
      return (Number(kilobytes) * 1024) / MiB;
    };
    return { total: read('VmRSS'), anonymous: read('RssAnon'), file: read('RssFile') };
  }

  /** The 99th percentile of its event loop's delay since the last call, in milliseconds. */
  async eventLoopDelay(): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const seconds = DELAY_P99.exec(text)?.[1];
    if (seconds === undefined) throw new Error('/metrics has no nodejs_eventloop_lag_p99_seconds');
    return Math.max(0, Number(seconds) * 1000 - DELAY_PERIOD);
  }

  /** Ends it and removes what it kept. */
  async stop(): Promise<void> {
    await endChild(this.child);
    await fs.rm(this.directory, { recursive: true, force: true });
  }
}

/** What the server prints when it listens. */
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
