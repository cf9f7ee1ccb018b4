import { afterAll, beforeAll, onTestFinished } from 'vitest';

import { CachedPrefixStore } from '../../src/prefix/cached-store.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { forgetChanges } from '../../src/redis/prefixes/changes.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { base } from '../server/harness.js';
import { describeVersions } from '../server/versions-contract.js';
import { RedisServer } from '../support/redis-server.js';

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

async function open(): Promise<CachedPrefixStore> {
  const connection = await RedisConnection.open({ url: redis.url });
  onTestFinished(() => connection.close());
  const store = new CachedPrefixStore(new RedisPrefixStore(connection, base.fingerprint));
  await forgetChanges(connection, base.fingerprint, store);
  return store;
}

describeVersions('two servers on Redis', async () => {
  const connection = await RedisConnection.open({ url: redis.url });
  await connection.client.flushdb();
  connection.close();
  return [await open(), await open()];
});
