import type { Socket } from 'node:net';

import fp from 'fastify-plugin';

/**
 * Handles one request at a time on each connection. A request that a client sends before it has the previous answer
 * waits, at no cost. If the connection closes with that answer, the waiting request is never handled.
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
