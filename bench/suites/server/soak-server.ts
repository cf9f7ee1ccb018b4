import type { AddressInfo } from 'node:net';

import { createApp } from '#src/app/app.js';
import { readConfig } from '#src/config/config.js';
import { limitHeapGrowth } from '#src/app/heap.js';

// The server, whose books are checked at SIGTERM, when nothing runs any more: it exits with 0 where they are right.
limitHeapGrowth();
const app = await createApp(readConfig());
await app.server.app.listen({ host: '127.0.0.1', port: 0 });
console.log(`listens on http://127.0.0.1:${(app.server.app.server.address() as AddressInfo).port}`);
process.once('SIGTERM', () => {
  void app.server
    .drain()
    .then(() => app.engine.idle())
    .then(() => app.engine.checkIntegrity())
    .then(() => app.close())
    .then(() => process.exit(0));
});
