import { expect, it } from 'vitest';

import { readCounts, soak } from '../../bench/load/soak-load.js';
import { realServer, uploadBundled } from '../support/real-server.js';

it(
  'after 200 streams at the same time, /metrics has counted what the clients have, and the books are right',
  async () => {
    const server = await realServer({ slots: 32 });
    const prefixes = ['casual-chat', 'formal-replies'];
    for (const name of prefixes) await uploadBundled(server.url, name);
    const until = performance.now() + 2000;
    const counted = await soak(server.url, { clients: 200, until, models: ['preamble-demo', ...prefixes], tokens: 32 });
    expect(counted.requests).toBeGreaterThanOrEqual(200);
    expect(counted.stopped).toBeGreaterThan(0);
    expect(await readCounts(server.url)).toEqual(counted);
    await server.engine.idle();
    server.engine.checkIntegrity();
  },
  5 * 60_000,
);
