import type { Server } from 'node:http';
import type { Socket } from 'node:net';

import type { BusySocket } from './client-error.js';

/** Longest time without traffic on a connection. */
const STILL_MS = 120_000;

/**
 * Hangs up on a client that has read nothing of its answer for two minutes. A connection that waits for its answer
 * may stay silent for as long as it takes; one without a request until its keep-alive time ends.
 */
export function hangUpOnStalled(server: Server): void {
  server.setTimeout(STILL_MS, (socket: Socket & BusySocket) => {
    const isToCome = Boolean(socket._httpMessage) && socket.writableLength === 0;
    if (!isToCome) socket.destroy();
  });
}
