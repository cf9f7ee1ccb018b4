import { expect, it } from 'vitest';

import { post, testServer } from './harness.js';
import { testLibrary } from './prefix-library.js';

const keys = {
  adminKey: 'wallaby-administers',
  apiKeys: [
    { tenant: 'alice', key: 'key-a' },
    { tenant: 'bob', key: 'key-b' },
  ],
};
const as = (key: string) => ({ authorization: `Bearer ${key}` });

it('says whose key it is, with its own limits and use and nobody else’s', async () => {
  const { app } = await testServer(keys, { library: await testLibrary() });
  await post(app, '/v1/admin/tenants/alice', { requests_per_minute: 0, max_prefixes: 7 }, as(keys.adminKey));
  for (const name of ['one', 'two']) await post(app, '/v1/prefixes', { name, text: 'Dear' }, as('key-a'));
  const alice = (await app.inject({ url: '/v1/me', headers: as('key-a') })).json<object>();
  expect(alice).toMatchObject({
    object: 'me',
    tenant: 'alice',
    needs_key: true,
    limits: { weight: 1, requests_per_minute: 0, tokens_per_minute: null, max_prefixes: 7, queue_share: 0.5 },
    use: { prefixes: 2 },
    fine_tuning: false,
    base_model: {
      id: 'tiny',
      architecture: 'decoder',
      chat: false,
      text: true,
      context_length: 64,
      source_length: null,
    },
  });
  const bob = (await app.inject({ url: '/v1/me', headers: as('key-b') })).json<object>();
  expect(bob).toMatchObject({ tenant: 'bob', limits: { max_prefixes: null }, use: { prefixes: 0, prefix_bytes: 0 } });
});

it('is the tenant `default` on a server without keys', async () => {
  const { app } = await testServer({}, { library: await testLibrary(), chatTemplate: { render: () => 'Hi' } });
  const me = (await app.inject({ url: '/v1/me' })).json<object>();
  expect(me).toMatchObject({ tenant: 'default', needs_key: false, base_model: { chat: true } });
});

it('is closed to the operator’s key, which is no tenant’s', async () => {
  const { app } = await testServer(keys, { library: await testLibrary() });
  expect((await app.inject({ url: '/v1/me', headers: as(keys.adminKey) })).statusCode).toBe(401);
});
