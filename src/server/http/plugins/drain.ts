import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';

/** Which requests are running, and whether new ones are let in. */
export class Drain {
  #leaving = false;
  #draining = false;
  #running = 0;
  #onIdle: (() => void) | undefined;

  /** Whether the server is about to go, be requests let in still or not. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Says that the server is about to go; requests are let in until `start`. */
  announce(): void {
    this.#leaving = true;
  }

  /** Lets no new request in. Settles when those that were let in are answered. */
  async start(): Promise<void> {
    this.#leaving = true;
    this.#draining = true;
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  /** Lets a request in; the caller says when it is over. */
  enter(): void {
    if (this.#draining) throw new ApiError('server_draining', 'The server is shutting down.');
    this.#running++;
  }

  leave(): void {
    this.#running--;
    if (this.#running === 0) this.#onIdle?.();
  }
}

/** Counts the requests of its scope, turns new ones away while the server shuts down, and closes connections when it is about to. */
export default fp<{ drain: Drain }>(
  async (app, { drain }) => {
    app.addHook('onRequest', async (_, reply) => {
      drain.enter();
      reply.raw.once('close', () => drain.leave());
    });
    // The next request on this connection could come when the server is gone.
    app.addHook('onSend', async (_, reply) => {
      if (drain.leaving) reply.header('connection', 'close');
    });
  },
  { name: 'drain', fastify: '5.x' },
);
