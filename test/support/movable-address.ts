import net from 'node:net';
import { once } from 'node:events';

import { onTestFinished } from 'vitest';

/** An address that leads to one port after another, as a failover moves it: what is open stays with the old one. */
export interface MovableAddress {
  readonly url: string;
  /** New connections lead to `port` from now on. */
  moveTo(port: number): void;
  /** How many connections were ever opened. */
  readonly opened: number;
}

/** Makes an address that leads to `first`; closed when the test is over. */
export async function movableAddress(first: number): Promise<MovableAddress> {
  let target = first;
  let opened = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    opened++;
    const redis = net.connect(target, '127.0.0.1');
    for (const [from, to] of [
      [client, redis],
      [redis, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy()).on('close', () => sockets.delete(from) && to.destroy());
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as net.AddressInfo;
  return {
    url: `redis://127.0.0.1:${port}`,
    moveTo: (to) => (target = to),
    get opened() {
      return opened;
    },
  };
}
