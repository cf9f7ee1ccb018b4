import { once } from 'node:events';
import { Agent, get } from 'node:http';
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
    this.#worker.postMessage('read');
    const [delays] = (await once(this.#worker, 'message')) as [Delays];
    return delays;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (!isMainThread && parentPort) watch(parentPort, workerData as Watched);

function watch(port: NonNullable<typeof parentPort>, { url, ask }: Watched): void {
  const agent = new Agent({ keepAlive: true });
  let longest: Delays = { livez: 0, gap: 0 };
  const streamAgain = async (): Promise<never> => {
    for (;;) {
      const stream = new TokenStream(url, ask);
      await stream.token(1);
      for (let count = 2; count <= ask.maxTokens; count++) {
        const began = stream.arrivals[count - 2] ?? NaN;
        const gap = (await stream.token(count)) - began;
        longest = { ...longest, gap: Math.max(longest.gap, gap) };
      }
    }
  };
  const probe = async (): Promise<never> => {
    for (;;) {
      const livez = await timeOf(`${url}/livez`, agent);
      longest = { ...longest, livez: Math.max(longest.livez, livez) };
      await delay(EVERY_MS);
    }
  };
  void Promise.all([streamAgain(), probe()]);
  port.on('message', () => {
    port.postMessage(longest);
    longest = { livez: 0, gap: 0 };
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
