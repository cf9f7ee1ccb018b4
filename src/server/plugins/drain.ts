import fp from 'fastify-plugin';

import { ApiError } from '../errors.js';

/** Which requests are running, and whether new ones are let in. */
export class Drain {
  #draining = false;
  #running = 0;
  #onIdle: (() => void) | undefined;

  get draining(): boolean {
    return this.#draining;
  }

  /** Lets no new request in. Settles when those that were let in are answered. */
  async start(): Promise<void> {
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

/** Counts the requests of its scope and turns new ones away while the server shuts down. */
export default fp<{ drain: Drain }>(
  async (app, { drain }) => {
    app.addHook('onRequest', async (_, reply) => {
      drain.enter();
      reply.raw.once('close', () => drain.leave());
    });
  },
  { name: 'drain', fastify: '5.x' },
);
