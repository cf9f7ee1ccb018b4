import type { AddressInfo } from 'node:net';

import { createApp } from '#src/app/app.js';
import { readConfig } from '#src/config/config.js';
import { limitHeapGrowth } from '#src/app/heap.js';

// A server that checks the engine's accounts at SIGTERM, once nothing runs any more, and exits with 0 if they are right.
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
