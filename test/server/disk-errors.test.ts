import fs from 'node:fs';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { DiskFileStore } from '../../src/files/disk-file-store.js';
import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { DiskJobStore } from '../../src/jobs/disk-job-store.js';
import { DiskPrefixStore } from '../../src/prefix/on-disk/disk-prefix-store.js';
import { DiskTenancyStore } from '../../src/tenancy/disk-tenancy-store.js';
import { canMount, fill, makeRoom, Mount, type SmallDisk, smallDisk } from '../support/small-disk.js';
import { failureOf } from '../../src/lib/store-health.js';
import { inForce, refusedBy, serverOn } from './every-store.js';
import { base } from './harness.js';

/** A server all of whose stores are on a disk of half a megabyte, or in a directory. */
async function serverOnDisk(directory: string) {
  return serverOn({
    prefixes: await DiskPrefixStore.open(directory, base.fingerprint),
    files: await DiskFileStore.open(directory),
    jobs: await DiskJobStore.open<FineTuningJob>(directory, FINE_TUNING),
    config: { store: { kind: 'file', directory } },
  });
}

async function setUp(): Promise<{ disk: SmallDisk; server: Awaited<ReturnType<typeof serverOnDisk>> }> {
  const disk = await smallDisk(512);
  return { disk, server: await serverOnDisk(path.join(disk.directory, 'store')) };
}

function awayMessage(store: string): string {
  return `The store of ${store} is away.${store === 'prefixes' ? ' Prefixes in memory are served.' : ''}`;
}

/** Every file below a directory but the filler. */
function filesOf(directory: string): string[] {
  const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name !== 'filler')
    .map(({ name }) => name)
    .sort();
}

describe.skipIf(!canMount)('an answer that a disk prevents names the store and the reason', () => {
  it('where it is full, and leaves nothing half done', async () => {
    const { disk, server } = await setUp();
    const before = filesOf(disk.directory);
    fill(disk);
    for (const [store, write] of Object.entries(server.writes))
      expect(await write()).toEqual(
        refusedBy('store_full', inForce(store, `The store of ${store} is full. Nothing was stored.`)),
      );
    for (const read of Object.values(server.reads)) expect((await read()).status).toBe(200);
    expect(filesOf(disk.directory)).toEqual(before);
    makeRoom(disk);
    for (const write of Object.values(server.writes)) expect((await write()).status).toBeLessThan(300);
    expect(server.failures.map(failureOf)).toContainEqual({ reason: 'full', cause: 'ENOSPC' });
  });

  it('where it takes no writes', async () => {
    const { disk, server } = await setUp();
    await disk.run(Mount.readOnly);
    for (const [store, write] of Object.entries(server.writes)) {
      const message = inForce(store, `The store of ${store} takes no writes at present. Nothing was stored.`);
      expect(await write()).toEqual(refusedBy('store_read_only', message));
    }
    for (const read of Object.values(server.reads)) expect((await read()).status).toBe(200);
    await disk.run(Mount.writable);
    for (const write of Object.values(server.writes)) expect((await write()).status).toBeLessThan(300);
  });

  it('where it has vanished, of which nothing is made anew; and works again when it is back', async () => {
    const { disk, server } = await setUp();
    const { library } = server;
    for (const name of ['used', 'unused']) await library.uploadText('alice', { name, text: name, tokens: [1] });
    await library.load('alice', 'used');
    await disk.run(Mount.away);
    for (const [store, write] of Object.entries(server.writes))
      expect(await write()).toEqual(refusedBy('store_unavailable', inForce(store, awayMessage(store))));
    for (const url of ['/v1/prefixes', '/v1/prefixes/unused', '/v1/models/unused', '/v1/prefixes/missing'])
      expect(await server.ask('GET', url)).toEqual(refusedBy('store_unavailable', awayMessage('prefixes')));
    expect(await server.ask('DELETE', '/v1/prefixes/unused')).toEqual(
      refusedBy('store_unavailable', awayMessage('prefixes')),
    );
    const [file] = (await server.files.list('alice', { limit: 1 })).data;
    expect(await server.ask('GET', `/v1/files/${file?.id}/content`)).toEqual(
      refusedBy('store_unavailable', awayMessage('files')),
    );
    expect(fs.readdirSync(disk.directory)).toEqual([]);
    await disk.run(Mount.back);
    for (const [store, write] of Object.entries(server.writes)) expect((await write()).status, store).toBeLessThan(300);
    expect((await server.ask('GET', '/v1/prefixes/unused')).status).toBe(200);
  });
});

describe.skipIf(!canMount)('on a full disk', () => {
  const restarts = (what: string, call: string): string =>
    `This server refuses ${what} until it restarts; repeat the call to ${call}.`;

  it('a key that is revoked is refused at once, and the answer says for how long', async () => {
    const { disk, server } = await setUp();
    const { text, record } = await server.tenancy.createKey({ tenant: 'bob', label: undefined });
    const use = () => server.ask('GET', '/v1/prefixes', { key: text }).then(({ status }) => status);
    const revoke = () => server.ask('DELETE', `/v1/admin/keys/${record.id}`);
    expect(await use()).toBe(200);
    fill(disk);
    const besides = restarts('the key', 'revoke it for good');
    expect(await revoke()).toEqual(
      refusedBy('store_full', `The store of keys is full. Nothing was stored. ${besides}`),
    );
    expect(await use()).toBe(401);
    makeRoom(disk);
    expect(await use()).toBe(401);
    expect((await revoke()).status).toBe(200);
    expect(await use()).toBe(401);
    expect((await revoke()).status).toBe(404);
  });

  it('a tenant that is deleted loses its keys, and a new one of the same name gets others', async () => {
    const { disk, server } = await setUp();
    const { text } = await server.tenancy.createKey({ tenant: 'bob', label: undefined });
    const use = (key: string) => server.ask('GET', '/v1/prefixes', { key }).then(({ status }) => status);
    fill(disk);
    const besides = restarts("the tenant's keys", 'delete the tenant');
    expect(await server.ask('DELETE', '/v1/admin/tenants/bob')).toEqual(
      refusedBy('store_full', `The store of tenants is full. Nothing was stored. ${besides}`),
    );
    expect(await use(text)).toBe(401);
    makeRoom(disk);
    const later = await server.tenancy.createKey({ tenant: 'bob', label: undefined });
    expect(await use(text)).toBe(401);
    expect(await use(later.text)).toBe(200);
    expect((await server.ask('DELETE', '/v1/admin/tenants/bob')).status).toBe(200);
    expect(await use(later.text)).toBe(401);
  });

  it('limits hold at once, and are stored with the next', async () => {
    const { disk, server } = await setUp();
    const directory = path.join(disk.directory, 'store');
    await server.tenancy.setTenant('bob', { maxPrefixes: 5, weight: 2 });
    const limits = async () => (await server.tenancy.limitsOf('bob')).maxPrefixes;
    fill(disk);
    const besides = 'The limits hold on this server until it restarts; repeat the call to store them.';
    const set = (payload: object) => server.ask('POST', '/v1/admin/tenants/bob', { payload });
    expect(await set({ max_prefixes: 0 })).toEqual(
      refusedBy('store_full', `The store of tenants is full. Nothing was stored. ${besides}`),
    );
    expect(await limits()).toBe(0);
    makeRoom(disk);
    expect((await set({ weight: 'default' })).status).toBe(200);
    const stored = await (await DiskTenancyStore.open(directory)).getTenant('bob');
    expect(stored?.limits).toEqual({ maxPrefixes: 0 });
  });
});
