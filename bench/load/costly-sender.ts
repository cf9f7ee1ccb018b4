import { once } from 'node:events';
import { request } from 'node:http';
import os from 'node:os';
import { finished } from 'node:stream/promises';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

import { costlyKinds, type CostlyRequest } from './costly-requests.js';

/** Lower than the server's, whose cores it shares here: elsewhere, who sends a request is on another machine. */
const PRIORITY = 10;

/** Which request is sent, and where. */
interface Order {
  readonly url: string;
  readonly model: string;
  /** Of a `CostlyKind`. */
  readonly name: string;
}

/** Sends costly requests and reads their answers, in a thread of its own that gives way to the server. */
export class CostlySender {
  readonly #worker = new Worker(new URL(import.meta.url));

  /** Sends a request and reads its answer to the end. A server that refuses a body may hang up before it has all of it. */
  async send(order: Order): Promise<void> {
    this.#worker.postMessage(order);
    await once(this.#worker, 'message');
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (!isMainThread && parentPort) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  os.setPriority(PRIORITY); // on Linux, of this thread alone
  port.on('message', ({ url, model, name }: Order) => {
    const kind = costlyKinds(model).find((one) => one.name === name);
    if (kind === undefined) throw new Error(`no costly request is called ${name}`);
    void send(url, kind.make()).then(() => port.postMessage('done'));
  });
}

async function send(url: string, { path, type, body }: CostlyRequest): Promise<void> {
  const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) };
  const outgoing = request(url + path, { method: 'POST', agent: false, headers });
  const answer = new Promise<void>((resolve) => {
    outgoing
      .once('error', () => resolve())
      .once('response', (incoming) => {
        finished(incoming.resume()).then(resolve, resolve);
      });
  });
  outgoing.end(body);
  await answer;
}
