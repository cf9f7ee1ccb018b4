import { describe, expect, it } from 'vitest';

import type { IssuedKey, Key, Tenant } from '../../src/server/admin/schema.js';
import { listen, post, testServer } from '../server/harness.js';
import { testLibrary } from '../server/prefix-library.js';
import { preamble, type Outcome } from './preamble.js';

const adminKey = 'open-sesame-please';

async function setUp() {
  const keys = { adminKey, apiKeys: [{ tenant: 'fixed', key: 'a-key-that-is-long' }] };
  const { app } = await testServer(keys, { library: await testLibrary() });
  const url = await listen(app);
  const run = (...args: string[]): Promise<Outcome> => preamble(...args, '--url', url, '--admin-key', adminKey);
  return { app, url, run };
}

const parse = ({ out }: Outcome): unknown => JSON.parse(out);

describe('preamble key', () => {
  it('creates a key that works, lists it and revokes it', async () => {
    const { app, run } = await setUp();
    const created = await run('key', 'create', '--tenant', 'alice', '--label', 'laptop');
    expect(created).toMatchObject({ status: 0, out: expect.stringMatching(/^pre-[0-9a-f]{20}-[\w-]{43}\n$/) });
    const key = created.out.trim();
    const id = key.slice(4, 24);
    expect(created.err).toContain(id);
    const body = { model: 'tiny', prompt: 'a', max_tokens: 1 };
    const call = async () => (await post(app, '/v1/completions', body, { authorization: `Bearer ${key}` })).status;
    expect(await call()).toBe(200);

    const listed = await run('key', 'ls');
    expect(listed.out).toMatch(new RegExp(`^ID .*\nstatic-1 +fixed +long .*settings\n${id} +alice +.{4} +laptop +20`));
    expect(listed.out).not.toContain(key.slice(25, 60));
    expect((parse(await run('key', 'ls', '--tenant', 'alice', '--json')) as Key[]).map((k) => k.id)).toEqual([id]);

    expect(await run('key', 'revoke', id)).toMatchObject({ status: 0, out: `revoked: ${id}\n` });
    expect(await call()).toBe(401);
    expect(await run('key', 'revoke', id)).toMatchObject({ status: 1, err: expect.stringContaining('key_not_found') });
  });

  it('prints JSON for programs', async () => {
    const { run } = await setUp();
    const created = await run('key', 'create', '--tenant', 'alice', '--json');
    const issued = parse(created) as IssuedKey;
    expect(issued).toMatchObject({ object: 'key', tenant: 'alice', label: null, last4: issued.key.slice(-4) });
    expect(created.err).toBe('');
    const revoked = await run('key', 'revoke', issued.id, '--json');
    expect(parse(revoked)).toEqual({ id: issued.id, object: 'key', deleted: true });
  });

  it('is 1 without the right key, or with none', async () => {
    const { url } = await setUp();
    const stranger = await preamble('key', 'ls', '--url', url, '--admin-key', 'a-key-that-is-long');
    expect(stranger).toMatchObject({ status: 1, err: expect.stringContaining('invalid_api_key') });
    expect(await preamble('key', 'ls', '--url', url)).toMatchObject({
      status: 1,
      err: expect.stringContaining('PREAMBLE_ADMIN_KEY'),
    });
  });
});

describe('preamble tenant', () => {
  it('sets limits, lists and removes', async () => {
    const { run } = await setUp();
    const set = await run(
      'tenant',
      'set',
      'alice',
      '--weight',
      '0.5',
      '--requests-per-minute',
      '0',
      '--max-prefixes',
      'none',
      '--json',
    );
    expect(parse(set)).toMatchObject({ weight: 0.5, requests_per_minute: 0, max_prefixes: null });
    await run('tenant', 'set', 'alice', '--weight', 'default', '--queue-share', '0.25');
    const listed = await run('tenant', 'ls');
    expect(listed.out).toMatch(/^TENANT .*\nalice +1 +0 +none +none +none +0.25\nfixed +1 +none .*\n$/);
    expect((parse(await run('tenant', 'ls', '--json')) as Tenant[]).map((t) => t.tenant)).toEqual(['alice', 'fixed']);
    expect(await run('tenant', 'rm', 'alice', '--prefixes')).toMatchObject({ status: 0, out: 'deleted: alice\n' });
    expect(await run('tenant', 'rm', 'alice')).toMatchObject({
      status: 1,
      err: expect.stringContaining('tenant_not_found'),
    });
    expect(await run('tenant', 'rm', 'fixed')).toMatchObject({
      status: 1,
      err: expect.stringContaining('tenant_static'),
    });
    const refused = await run('tenant', 'set', 'alice', '--weight', '0');
    expect(refused).toMatchObject({ status: 1, err: expect.stringContaining("'weight' must be a number above 0") });
  });

  it('lists more than a page', async () => {
    const { run } = await setUp();
    const names = Array.from({ length: 103 }, (_, i) => `t${String(i).padStart(3, '0')}`);
    for (const name of names) await run('tenant', 'set', name);
    expect((parse(await run('tenant', 'ls', '--json')) as Tenant[]).map((t) => t.tenant)).toEqual(['fixed', ...names]);
  });
});
