import { get, Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { type Ask, TokenStream } from './token-stream.js';

/** The longest times, in milliseconds, since the watch began to look. */
export interface Delays {
  /** From asking for `/livez` to its answer. */
  readonly livez: number;
  /** Between two tokens of a stream. */
  readonly gap: number;
}

/** What a watch looks at. */
interface Watched {
  readonly url: string;
  /** Streamed again and again. */
  readonly ask: Ask;
}

/** Milliseconds between two questions. */
const EVERY_MS = 5;

/**
 * Asks a server for `/livez` every few milliseconds beside a stream that it reads, in a thread of its own: what its user sends and receives
 * meanwhile does not delay it.
 */
export class DelayWatch {
  readonly #worker: Worker;

  constructor(watched: Watched) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: watched });
  }

  /** The delays since the last call. */
  async read(): Promise<Delays> {
    return new Promise((resolve, reject) => {
      this.#worker.once('message', resolve).once('error', reject);
      this.#worker.postMessage('read');
    });
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (!isMainThread && parentPort) watch(parentPort, workerData as Watched);

function watch(port: NonNullable<typeof parentPort>, { url, ask }: Watched): void {
  const agent = new Agent({ keepAlive: true });
  let [livez, from] = [0, performance.now()];
  let stream = new TokenStream(url, ask);
  const gapUntil = (now: number): number => {
    const times = [...stream.arrivals.filter((time) => time > from), now];
    return times.reduce((longest, time, i) => Math.max(longest, time - (times[i - 1] ?? time)), 0);
  };
  const streamAgain = async (): Promise<never> => {
    for (;;) {
      await stream.done;
      stream = new TokenStream(url, ask);
    }
  };
  const probe = async (): Promise<never> => {
    for (;;) {
      livez = Math.max(livez, await timeOf(`${url}/livez`, agent));
      await delay(EVERY_MS);
    }
  };
  void Promise.all([streamAgain(), probe()]);
  port.on('message', () => {
    const now = performance.now();
    port.postMessage({ livez, gap: gapUntil(now) } satisfies Delays);
    [livez, from] = [0, now];
  });
}

function timeOf(url: string, agent: Agent): Promise<number> {
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { agent }, (answer) => {
      answer.resume().once('end', () => resolve(performance.now() - begin));
    }).once('error', reject);
  });
}
