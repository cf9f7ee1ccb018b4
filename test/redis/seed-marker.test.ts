import { expect, it, onTestFinished } from 'vitest';

import { RedisConnection } from '../../src/redis/connection.js';
import { RedisSeedMarker } from '../../src/redis/prefixes/seed-marker.js';
import { RedisServer } from '../support/redis-server.js';

it('a Redis remembers which tenants were given the bundled prefixes of a model', async () => {
  const redis = await RedisServer.start();
  onTestFinished(() => redis.stop());
  const connection = await RedisConnection.open({ url: redis.url });
  onTestFinished(() => connection.close());
  const marker = new RedisSeedMarker(connection, 'f'.repeat(64));
  expect(await marker.has('alice')).toBe(false);
  await marker.add('alice');
  await marker.add('alice');
  expect(await marker.has('alice')).toBe(true);
  expect(await marker.has('Alice')).toBe(false);
  expect(await new RedisSeedMarker(connection, 'e'.repeat(64)).has('alice')).toBe(false);
  await redis.kill();
  await expect.poll(() => connection.isReady).toBe(false);
  await expect(marker.has('alice')).rejects.toMatchObject({ store: 'prefixes', code: 'store_unavailable' });
});
