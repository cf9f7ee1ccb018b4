import { buffer } from 'node:stream/consumers';
import { setImmediate as tick } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { FileRecord } from '../../src/files/file.js';
import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { newEvent } from '../../src/jobs/job.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { RedisJobStore } from '../../src/redis/jobs/redis-job-store.js';
import { RedisFileStore } from '../../src/redis/files/redis-file-store.js';
import { describeFileStore } from '../files/file-store-contract.js';
import { job } from '../fine-tuning/fixtures.js';
import { file } from '../files/fixtures.js';
import { describeJobStore } from '../jobs/job-store-contract.js';
import { RedisServer } from '../support/redis-server.js';

let server: RedisServer;
const connections: RedisConnection[] = [];

async function connect(url = server.url): Promise<RedisConnection> {
  const connection = await RedisConnection.open({ url });
  connections.push(connection);
  return connection;
}

beforeAll(async () => {
  server = await RedisServer.start(['--appendfsync', 'no']); // a thousand events, one by one
});
afterAll(async () => {
  for (const connection of connections) connection.close();
  await server.stop();
});

async function emptyRedis(): Promise<void> {
  await (await connect()).client.flushdb();
}

describeFileStore('the store on Redis', async () => {
  await emptyRedis();
  return async () => new RedisFileStore(await connect());
});

describeJobStore('the store on Redis', async () => {
  await emptyRedis();
  return async (maxFinished) => new RedisJobStore<FineTuningJob>(await connect(), FINE_TUNING, maxFinished);
});

describe('files and jobs on Redis', () => {
  it('leave nothing of a file behind: not refused, not deleted, not put twice', async () => {
    await emptyRedis();
    const connection = await connect();
    const store = new RedisFileStore(connection);
    const content = new Uint8Array(1_200_000).fill(7); // three pieces
    const kept = file(content.length);
    await store.put('t', kept, content);
    const keys = async (): Promise<string[]> => (await connection.client.keys('*')).sort();
    const before = await keys();
    expect(before).toHaveLength(6);
    await store.put('t', kept, content);
    const quota = { maxFiles: 1, maxBytes: 1e9 };
    await expect(store.put('t', file(content.length), content, quota)).rejects.toThrow('1 of at most 1 files');
    expect(await keys()).toEqual(before);
    expect(await store.delete('t', kept.id)).toBe(true);
    expect(await keys()).toEqual(['preamble:1:{files:t}:bytes']);
  });

  it('leave nothing of a job behind that is deleted', async () => {
    await emptyRedis();
    const connection = await connect();
    const store = new RedisJobStore<FineTuningJob>(connection, FINE_TUNING);
    const { id } = job();
    await store.add('t', job({ id }));
    await store.addEvent('t', id, newEvent(FINE_TUNING, 1, { message: 'first' }));
    expect(await connection.client.dbsize()).toBe(5);
    await store.delete('t', id);
    expect(await connection.client.keys('*')).toEqual([]);
  });

  it('say that a stored file is damaged', async () => {
    const connection = await connect();
    const store = new RedisFileStore(connection);
    const kept = file(3);
    await store.put('t', kept, Uint8Array.of(1, 2, 3));
    const [piece = ''] = await connection.client.keys('*:piece:*');
    await connection.client.set(piece, 'abc');
    await expect(store.content('t', kept.id)).rejects.toMatchObject({ code: 'file_damaged' });
    await connection.client.del(piece);
    await expect(store.content('t', kept.id)).rejects.toMatchObject({ code: 'file_damaged' });
  });

  it('have damaged records that hide no others and can be deleted', async () => {
    await emptyRedis();
    const connection = await connect();
    const [files, jobs] = [new RedisFileStore(connection), new RedisJobStore<FineTuningJob>(connection, FINE_TUNING)];
    const [whole, broken, queued, failed] = [file(1, 1), file(1, 2), job(), job()];
    for (const each of [whole, broken]) await files.put('t', each, Uint8Array.of(1));
    for (const each of [queued, failed]) await jobs.add('t', each);
    await connection.client.set(`preamble:1:{files:t}:file:${broken.id}`, '{');
    const [record = ''] = await connection.client.keys(`*${failed.id}*`);
    await connection.client.hset(record, 'settings', '{');

    expect((await files.list('t', { limit: 9 })).data).toEqual([whole]);
    await expect(files.get('t', broken.id)).rejects.toMatchObject({ code: 'file_damaged' });
    expect(await files.delete('t', broken.id)).toBe(true);
    expect(await files.get('t', broken.id)).toBeUndefined();

    expect((await jobs.list('t', { limit: 9 })).data).toEqual([queued]);
    await expect(jobs.get('t', failed.id)).rejects.toMatchObject({ code: 'job_damaged' });
    expect(await jobs.delete('t', failed.id)).toBe(true);
    expect(await jobs.get('t', failed.id)).toBeUndefined();
  });

  it('end no stream of a file as if it were whole that was damaged or deleted', async () => {
    const connection = await connect();
    const store = new RedisFileStore(connection);
    const put = async (): Promise<FileRecord> => {
      await emptyRedis();
      const kept = file(1_200_000); // three pieces
      await store.put('t', kept, new Uint8Array(kept.bytes));
      return kept;
    };
    const read = async (meanwhile: () => Promise<unknown>): Promise<number> => {
      const kept = await put();
      let bytes = 0;
      const { content } = (await store.stream('t', kept.id))!;
      const reading = (async () => {
        for await (const piece of content) {
          if (bytes === 0) await meanwhile();
          bytes += (piece as Buffer).length;
        }
      })();
      await expect(reading).rejects.toMatchObject({ code: 'file_damaged' });
      return bytes;
    };
    const last = async (): Promise<string> => (await connection.client.keys('*:piece:*:2'))[0]!;
    expect(await read(async () => connection.client.setrange(await last(), 0, 'x'))).toBe(2 * 512 * 1024);
    expect(await read(async () => connection.client.append(await last(), 'x'))).toBe(2 * 512 * 1024);
    const { id } = await put();
    const { content } = (await store.stream('t', id))!;
    await store.delete('t', id);
    await expect(buffer(content)).rejects.toMatchObject({ code: 'file_damaged' });
  });

  it('do not make small commands wait, however many files are read', async () => {
    await emptyRedis();
    const connection = await connect();
    const store = new RedisFileStore(connection);
    const kept = file(2_500_000); // five pieces
    await store.put('t', kept, new Uint8Array(kept.bytes));
    await connection.client.config('RESETSTAT');
    const reads = Promise.all(Array.from({ length: 30 }, () => store.content('t', kept.id)));
    await connection.client.ping(); // behind the 30 records
    await tick();
    const calls = Number(/cmdstat_get:calls=(\d+)/.exec(await connection.client.info('commandstats'))?.[1]);
    expect(calls).toBeLessThan(30 + 60);
    for (const content of await reads) expect(content).toHaveLength(kept.bytes);
  });

  it('are unavailable while Redis is away or full, and say so', async () => {
    const small = await RedisServer.start(['--maxmemory', '8mb']);
    const connection = await connect(small.url);
    const [files, jobs] = [new RedisFileStore(connection), new RedisJobStore<FineTuningJob>(connection, FINE_TUNING)];
    const big = new Uint8Array(20_000_000);
    const unavailable = { code: 'store_unavailable' };
    await expect(files.put('t', file(big.length), big)).rejects.toMatchObject({ store: 'files', code: 'store_full' });
    const { id } = job();
    await jobs.add('t', job({ id })); // there is room again
    await small.stop();
    await expect.poll(() => connection.isReady).toBe(false);
    await expect(files.get('t', 'x')).rejects.toMatchObject({ store: 'files', ...unavailable });
    await expect(jobs.change('t', id, ['queued'], { status: 'running' })).rejects.toMatchObject({
      store: 'jobs',
      ...unavailable,
    });
    await expect(jobs.unfinished('f')).rejects.toMatchObject({ store: 'jobs', ...unavailable });
  });
});
