import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { addressOf, exitStatus, startProgram, testModelCache } from '../support/program.js';
import { RedisServer } from '../support/redis-server.js';

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

it('SIGTERM ends a program within 10 s whose Redis has hung for longer than BullMQ waits', async () => {
  const program = await startProgram({ PREAMBLE_STORE: redis.url, PREAMBLE_CACHE: testModelCache });
  await addressOf(program);
  await delay(1000); // BullMQ blocks by now
  redis.pause();
  await delay(6000);
  program.process.kill('SIGTERM');
  const late = delay(10_000, 'still runs', { ref: false });
  expect(await Promise.race([exitStatus(program), late])).toBe(0);
});
