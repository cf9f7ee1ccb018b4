import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { RedisConnection } from '../../src/redis/connection.js';
import { RedisServer } from '../support/redis-server.js';

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.stop());

describe('the connection to Redis', () => {
  it('fails at once when there is no Redis', async () => {
    await expect(RedisConnection.open({ url: 'redis://127.0.0.1:1' })).rejects.toMatchObject({
      name: 'RedisUnavailableError',
    });
  });

  it('comes back by itself, hears again, and tells that messages may be missing', async () => {
    const connection = await RedisConnection.open({ url: server.url });
    const heard: string[] = [];
    let reconnects = 0;
    await connection.subscribe('news', (message) => heard.push(message));
    connection.onReconnect(() => reconnects++);
    await connection.client.publish('news', 'one');
    await server.kill();
    await expect.poll(() => connection.isReady).toBe(false);
    await expect(connection.client.get('a')).rejects.toThrow();
    await server.start();
    await expect.poll(() => reconnects, { timeout: 10_000 }).toBe(1);
    await expect.poll(() => connection.isReady).toBe(true);
    await connection.client.publish('news', 'two');
    await expect.poll(() => heard).toEqual(['one', 'two']);
    connection.close();
  });
});
