import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';

/** Counts running requests, and refuses new ones during shutdown. */
export class Drain {
  #leaving = false;
  #draining = false;
  #running = 0;
  #onIdle: (() => void) | undefined;
  readonly #onStart: (() => void)[] = [];

  /** Whether the server is going to shut down. Requests may still be accepted. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Announces the shutdown. Requests are accepted until `start`. */
  announce(): void {
    this.#leaving = true;
  }

  /** Calls `end` when requests are refused from now on: for answers that would not end by themselves. */
  onStart(end: () => void): void {
    this.#onStart.push(end);
  }

  /** Refuses new requests from now on. Resolves when the running ones are answered. */
  async start(): Promise<void> {
    this.#leaving = true;
    this.#draining = true;
    for (const end of this.#onStart) end();
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  /** Counts a request as running until `leave`. Throws `server_draining` during shutdown. */
  enter(): void {
    if (this.#draining) throw new ApiError('server_draining', 'The server is shutting down.');
    this.#running++;
  }

  /** Counts a request as answered. */
  leave(): void {
    this.#running--;
    if (this.#running === 0) this.#onIdle?.();
  }
}

/**
 * Counts the requests of its scope, refuses new ones during shutdown, and closes connections once shutdown is
 * announced.
 */
export default fp<{ drain: Drain }>(
  async (app, { drain }) => {
    app.addHook('onRequest', async (_, reply) => {
      drain.enter();
      reply.raw.once('close', () => drain.leave());
    });
    // The next request on this connection might come after the server is gone.
    app.addHook('onSend', async (_, reply) => {
      if (drain.leaving) reply.header('connection', 'close');
    });
  },
  { name: 'drain', fastify: '5.x' },
);
