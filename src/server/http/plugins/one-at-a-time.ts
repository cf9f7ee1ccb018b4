import type { Socket } from 'node:net';

import fp from 'fastify-plugin';

/**
 * Lets each connection have one request at a time: what a client sends before it has its answer waits for that, and costs nothing
 * meanwhile. Where the connection ends with the answer, it is never let in.
 */
export default fp(
  async (app) => {
    const answered = new WeakMap<Socket, Promise<void>>();
    app.addHook('onRequest', async ({ raw: { socket } }, { raw }) => {
      const before = answered.get(socket);
      const own = new Promise<void>((resolve) => {
        raw.once('close', () => {
          if (socket.writable) resolve();
        });
      });
      answered.set(socket, own);
      await before;
    });
  },
  { name: 'one-at-a-time', fastify: '5.x' },
);
