import type { Server } from 'node:http';
import type { Socket } from 'node:net';

import type { BusySocket } from './client-error.js';

/** How long a connection may be still. Milliseconds. */
const STILL_MS = 120_000;

/**
 * Hangs up on a client that takes nothing of its answer for two minutes. A connection whose answer is still to come may be still for as
 * long as it likes, and one without a request for as long as it is kept alive.
 */
export function hangUpOnStalled(server: Server): void {
  server.setTimeout(STILL_MS, (socket: Socket & BusySocket) => {
    const isToCome = Boolean(socket._httpMessage) && socket.writableLength === 0;
    if (!isToCome) socket.destroy();
  });
}
