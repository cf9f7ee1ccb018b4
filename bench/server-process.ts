import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { packageRoot } from '#src/config.js';
import { endChild, startChild } from './child.js';

/** Prom-client's own, of perf_hooks' histogram: since the scrape before, the period of its timer included. */
const DELAY_P99 = /^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)$/m;
/** Milliseconds between two looks of that timer. */
const DELAY_PERIOD = 10;

/** The server as it is shipped, in a process of its own. */
export interface ServerProcess {
  readonly address: string;
  readonly pid: number;
  /** The 99th percentile of its event loop's delay since the last call, in milliseconds. */
  eventLoopDelay(): Promise<number>;
  close(): Promise<void>;
}

/** Starts `dist/main.js` on a free port of this machine with these settings and no others, and waits until it listens. */
export async function startServer(settings: Readonly<Record<`PREAMBLE_${string}`, string>>): Promise<ServerProcess> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PREAMBLE_'));
  const child = startChild(process.execPath, [path.join(packageRoot, 'dist/main.js')], {
    env: { ...Object.fromEntries(inherited), HOST: '127.0.0.1', PORT: '0', ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const address = await Promise.race([
    firstAddress(lines),
    once(child, 'exit').then(([status]) => Promise.reject(new Error(`the server ended with ${String(status)}`))),
  ]);
  return {
    address,
    pid: child.pid as number,
    eventLoopDelay: () => eventLoopDelay(address),
    close: () => endChild(child),
  };
}

async function firstAddress(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const address = /listens on (http:\S+)/.exec(line)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error('the server did not say where it listens');
}

async function eventLoopDelay(address: string): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text();
  const seconds = DELAY_P99.exec(text)?.[1];
  if (seconds === undefined) throw new Error('/metrics has no nodejs_eventloop_lag_p99_seconds');
  return Math.max(0, Number(seconds) * 1000 - DELAY_PERIOD);
}
