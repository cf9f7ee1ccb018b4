import type { AddressInfo } from 'node:net';

import { createApp } from '#src/app.js';
import { readConfig } from '#src/config.js';

// The server, whose books are checked at SIGTERM, when nothing runs any more: it exits with 0 where they are right.
const { engine, server, close } = await createApp(readConfig());
await server.app.listen({ host: '127.0.0.1', port: 0 });
console.log(`listens on http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}`);
process.once('SIGTERM', () => {
  void server
    .drain()
    .then(() => engine.idle())
    .then(() => engine.checkIntegrity())
    .then(close)
    .then(() => process.exit(0));
});
