import type { FastifyInstance } from 'fastify';
import { describe, expect, it, vi } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import { adapterId, versionId } from '../../src/prefix/name.js';
import type { PrefixStore } from '../../src/prefix/store.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { parseSamples } from '../support/samples.js';
import { base, testMetrics, testServer } from './harness.js';
import { testLibrary } from './prefix-library.js';
import { byteTokenizer } from './scripted-engine.js';

/** Opens a store as one of two servers has it. What one changes, the other sees at once, or soon where the store is shared by messages. */
export type OpenReplicas = () => Promise<readonly [PrefixStore, PrefixStore]>;

const adminKey = 'open-sesame-please';
const TENANTS = ['Owner', 'friend', 'stranger'] as const;
type Tenant = (typeof TENANTS)[number];
type Json = Record<string, unknown>;

interface Answer {
  readonly status: number;
  readonly body: Json;
}

interface Replica {
  readonly log: () => string;
  /** Calls a route of a tenant; `admin` is the operator. */
  readonly call: (method: string, url: string, payload?: object, tenant?: Tenant | 'admin') => Promise<Answer>;
  /** The first digits of the version that answers. */
  readonly ask: (model: string, request?: object, tenant?: Tenant) => Promise<Answer>;
  readonly scrape: () => Promise<string>;
}

async function replica(store: PrefixStore): Promise<Replica> {
  const runner = new FakeRunner({ slots: 4, contextLength: base.contextLength, vocabularySize: base.vocabularySize });
  const engine = new Engine({ runner, tokenizer: byteTokenizer, eosTokenIds: [0] });
  const metrics = testMetrics();
  const deps = { engine, metrics, library: await testLibrary(store), chatTemplate: { render: () => 'Hi' } };
  const apiKeys = TENANTS.map((tenant) => ({ tenant, key: `key-${tenant}` }));
  const observeVersion = (id: string) => metrics.versionSequence(id);
  const { app, log } = await testServer({ apiKeys, adminKey, logLevel: 'info' }, { ...deps, observeVersion });
  const call: Replica['call'] = async (method, url, payload, tenant = 'Owner') => {
    const headers = { authorization: `Bearer ${tenant === 'admin' ? adminKey : `key-${tenant}`}` };
    return inject(app, { method, url, headers, ...(payload && { payload }) });
  };
  const ask: Replica['ask'] = (model, request = {}, tenant = 'Owner') =>
    call('POST', '/v1/completions', { model, prompt: 'a', max_tokens: 1, ignore_eos: true, ...request }, tenant);
  return { log, call, ask, scrape: () => metrics.text() };
}

async function inject(app: FastifyInstance, request: object): Promise<Answer> {
  const answer = await app.inject(request);
  return { status: answer.statusCode, body: answer.json<Json>() };
}

const NAME = 'users/alice';
const PATH = `/v1/prefixes/${encodeURIComponent(NAME)}`;
const fingerprintOf = ({ body }: Answer): unknown => body['system_fingerprint'];

/** What servers must do with versions that share a name, and with prefixes of others. */
export function describeVersions(kind: string, openReplicas: OpenReplicas): void {
  /** Two servers, and a name with the version A that answers all and the standby B. */
  async function setUp(): Promise<{
    here: Replica;
    there: Replica;
    a: string;
    b: string;
    versions: readonly string[];
  }> {
    const [one, other] = await openReplicas();
    const here = await replica(one);
    const there = other === one ? here : await replica(other);
    const upload = async (text: string, share?: number): Promise<string> => {
      const { status, body } = await here.call('POST', '/v1/prefixes', { name: NAME, text, share });
      expect(status).toBe(201);
      return String(body['version']);
    };
    const versions = [await upload('old'), await upload('new', 0)] as const;
    const [a, b] = versions.map((version) => version.slice(0, 12)) as [string, string];
    return { here, there, a, b, versions };
  }

  const share = (server: Replica, shares: Record<string, number>): Promise<Answer> =>
    server.call('PUT', `${PATH}/shares`, {
      shares: Object.entries(shares).map(([version, percent]) => ({ version, percent })),
    });
  const percents = ({ body }: Answer): unknown =>
    Object.fromEntries(
      (body['shares'] as { version: string; percent: number }[]).map((one) => [one.version.slice(0, 12), one.percent]),
    );
  const versionsOf = async (server: Replica, users: readonly string[]): Promise<unknown[]> =>
    Promise.all(users.map(async (user) => fingerprintOf(await server.ask(NAME, { user }))));

  describe(`${kind}: versions that share a name`, () => {
    it('an upload with share 0 answers as name@version only', async () => {
      const { here, there, a, b } = await setUp();
      for (const server of [here, there]) {
        expect(fingerprintOf(await server.ask(NAME))).toBe(a);
        expect(fingerprintOf(await server.ask(`${NAME}@${b}`))).toBe(b);
      }
      expect((await here.ask('tiny')).body).not.toHaveProperty('system_fingerprint');
      const first = await here.call('POST', '/v1/prefixes', { name: 'first', text: 'x', share: 0 });
      expect(first).toMatchObject({ status: 400, body: { error: { code: 'share_invalid', param: 'share' } } });
    });

    it('a user keeps the version on every server, and only those move that must', async () => {
      const { here, there, a, b } = await setUp();
      const users = Array.from({ length: 100 }, (_, i) => `user-${i}`);
      const seen: unknown[][] = [await versionsOf(here, users)];
      expect(new Set(seen[0])).toEqual(new Set([a]));
      for (const percent of [10, 40, 100]) {
        const answer = await share(here, { [a]: 100 - percent, [b]: percent });
        expect(answer.status).toBe(200);
        expect(percents(answer)).toEqual(percent === 100 ? { [b]: 100 } : { [a]: 100 - percent, [b]: percent });
        await vi.waitFor(async () => expect(percents(await there.call('GET', PATH))).toEqual(percents(answer)));
        const [now, again] = [await versionsOf(here, users), await versionsOf(there, users)];
        expect(again).toEqual(now);
        const before = seen.at(-1)!;
        for (const [i, version] of now.entries()) if (version !== before[i]) expect(version).toBe(b);
        seen.push(now);
      }
      // 100 users, each in one of 100 buckets: far from none and from all.
      const counts = seen.map((versions) => versions.filter((version) => version === b).length);
      expect(counts[0]).toBe(0);
      expect(counts[1]).toBeGreaterThan(0);
      expect(counts[2]).toBeGreaterThan(20);
      expect(counts[2]).toBeLessThan(60);
      expect(counts[3]).toBe(100);
    });

    it('without a user each request gets one by chance, whatever its seed', async () => {
      const { here, a, b } = await setUp();
      await share(here, { [a]: 50, [b]: 50 });
      const answers = await Promise.all(Array.from({ length: 60 }, () => here.ask(NAME, { seed: 7 })));
      expect(new Set(answers.map(fingerprintOf))).toEqual(new Set([a, b])); // 1 in 2^59 fails
      expect(fingerprintOf(await here.ask(`${NAME}@${a}`, { user: 'u' }))).toBe(a);
      const chat = { model: NAME, messages: [{ role: 'user', content: 'x' }], max_tokens: 1, user: 'u' };
      const { body } = await here.call('POST', '/v1/chat/completions', chat);
      expect(body['system_fingerprint']).toBe(fingerprintOf(await here.ask(NAME, { user: 'u' })));
      const requests = [{ custom_id: 'x', body: { model: NAME, prompt: 'a', max_tokens: 1, user: 'u' } }];
      const batch = await here.call('POST', '/v1/batch/completions', { requests });
      expect(batch.body).toMatchObject({
        data: [{ response: { body: { system_fingerprint: body['system_fingerprint'] } } }],
      });
    });

    it('rolls back what was changed last, and refuses what cannot be', async () => {
      const { here, a, b } = await setUp();
      const rollback = (): Promise<Answer> => here.call('POST', `${PATH}/shares/rollback`);
      expect(await rollback()).toMatchObject({ status: 409, body: { error: { code: 'no_previous_shares' } } });
      await share(here, { [a]: 90, [b]: 10 });
      await share(here, { [b]: 100 });
      expect(percents(await rollback())).toEqual({ [a]: 90, [b]: 10 });
      expect(percents(await rollback())).toEqual({ [b]: 100 });
      await here.call('POST', '/v1/prefixes', { name: NAME, text: 'newer' });
      expect(percents(await rollback())).toEqual({ [b]: 100 });

      const refused = { status: 400, body: { error: { code: 'shares_invalid', param: 'shares' } } };
      expect(await share(here, { [a]: 90, [b]: 9 })).toMatchObject(refused);
      expect(await share(here, { [a]: 90, ['0'.repeat(12)]: 10 })).toMatchObject(refused);
      const twice = [a, a].map((version) => ({ version, percent: 50 }));
      expect(await here.call('PUT', `${PATH}/shares`, { shares: twice })).toMatchObject(refused);
      for (const percent of [-1, 101, 0.5, '1'])
        expect((await here.call('PUT', `${PATH}/shares`, { shares: [{ version: a, percent }] })).status).toBe(400);
      expect(percents(await here.call('GET', PATH))).toEqual({ [b]: 100 });
    });

    it('counts each version under an opaque id while several share the name, and logs who changed what', async () => {
      const { here, a, b, versions } = await setUp();
      await here.ask(NAME);
      const ids = versions.map((version) => versionId('Owner', { name: NAME, version }));
      const counts = async (): Promise<unknown> =>
        Object.fromEntries(
          parseSamples(await here.scrape())
            .filter(({ name }) => name === 'preamble_prefix_version_success_total')
            .map(({ labels, value }) => [labels['version_id'], value]),
        );
      expect(await counts()).toEqual({});
      await share(here, { [a]: 50, [b]: 50 });
      const users = Array.from({ length: 30 }, (_, i) => `user-${i}`);
      const answers = await versionsOf(here, users);
      const expected = [a, b].map((version, i) => [ids[i], answers.filter((one) => one === version).length]);
      await vi.waitFor(async () => expect(await counts()).toEqual(Object.fromEntries(expected)));
      const lines = here
        .log()
        .split('\n')
        .filter((line) => line.includes('"audit"'));
      expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
        {
          tenant: 'Owner',
          action: 'shares.set',
          adapter_id: adapterId('Owner', NAME),
          shares: ids.map((version_id) => ({ version_id, percent: 50 })),
        },
      ]);
      for (const secret of [NAME, a, b]) expect(`${await here.scrape()}${here.log()}`).not.toContain(secret);
    });
  });

  describe(`${kind}: a prefix that is granted`, () => {
    const MODEL = `Owner:${NAME}`;
    const grant = (server: Replica, to: string, name = NAME): Promise<Answer> =>
      server.call('PUT', `/v1/prefixes/${encodeURIComponent(name)}/grants/${to}`);
    const models = async (server: Replica, tenant: Tenant): Promise<unknown[]> =>
      ((await server.call('GET', '/v1/models', undefined, tenant)).body['data'] as { id: string }[]).map(
        ({ id }) => id,
      );
    const missing = { status: 404, body: { error: { code: 'model_not_found' } } };

    it('is used by the other tenant until it is revoked, at once on every server', async () => {
      const { here, there, a, b } = await setUp();
      expect(await there.ask(MODEL, {}, 'friend')).toMatchObject(missing);
      expect(await grant(here, 'friend')).toEqual({
        status: 200,
        body: { object: 'prefix.grant', name: NAME, tenant: 'friend', model: MODEL },
      });
      await vi.waitFor(async () => expect(fingerprintOf(await there.ask(MODEL, {}, 'friend'))).toBe(a));
      expect((await there.ask(MODEL, {}, 'friend')).body).toMatchObject({ model: MODEL });
      expect(await models(there, 'friend')).toEqual(['tiny', MODEL]);
      const model = await there.call('GET', `/v1/models/${encodeURIComponent(MODEL)}`, undefined, 'friend');
      expect(model).toMatchObject({ status: 200, body: { id: MODEL, owned_by: 'Owner', parent: 'tiny' } });
      // A version that has no share yet is the owner's to try.
      expect(await here.ask(`${MODEL}@${b}`, {}, 'friend')).toMatchObject(missing);
      expect(fingerprintOf(await here.ask(`${MODEL}@${a}`, {}, 'friend'))).toBe(a);
      expect(fingerprintOf(await here.ask(MODEL))).toBe(a); // the owner may say so too
      for (const name of [MODEL, NAME]) expect(await here.ask(name, {}, 'stranger')).toMatchObject(missing);
      expect(await models(here, 'stranger')).toEqual(['tiny']);
      expect((await here.call('GET', `${PATH}/grants`)).body['data']).toMatchObject([
        { tenant: 'friend', model: MODEL },
      ]);

      expect((await here.call('DELETE', `${PATH}/grants/friend`)).status).toBe(200);
      await vi.waitFor(async () => expect(await there.ask(MODEL, {}, 'friend')).toMatchObject(missing));
      expect(await here.ask(MODEL, {}, 'friend')).toMatchObject(missing);
      expect(await models(here, 'friend')).toEqual(['tiny']);
      const again = await here.call('DELETE', `${PATH}/grants/friend`);
      expect(again).toMatchObject({ status: 404, body: { error: { code: 'grant_not_found' } } });
      const actions = here.log().match(/"action":"grant[^"]*"/g);
      expect(actions).toEqual(['"action":"grant.add"', '"action":"grant.remove"']);
    });

    it('lets the other tenant do nothing else', async () => {
      const { here, a } = await setUp();
      await grant(here, 'friend');
      const paths = [NAME, MODEL, `${MODEL}@${a}`].map((name) => `/v1/prefixes/${encodeURIComponent(name)}`);
      const shares = { shares: [{ version: a, percent: 100 }] };
      for (const path of paths) {
        const calls: [string, string, object?][] = [
          ['GET', path],
          ['GET', `${path}/files/adapter_config.json`],
          ['GET', `${path}/files/adapter_model.safetensors`],
          ['PUT', `${path}/shares`, shares],
          ['POST', `${path}/shares/rollback`],
          ['GET', `${path}/grants`],
          ['PUT', `${path}/grants/stranger`],
          ['DELETE', `${path}/grants/friend`],
          ['DELETE', path],
          ['DELETE', path.replace('prefixes', 'models')],
        ];
        for (const [method, url, payload] of calls) {
          expect((await here.call(method, url, payload, 'friend')).status, `${method} ${url}`).toBe(404);
        }
      }
      expect((await here.call('GET', '/v1/prefixes', undefined, 'friend')).body['data']).toEqual([]);
      expect(fingerprintOf(await here.ask(MODEL, {}, 'friend'))).toBe(a);
    });

    it('ends with the prefix, and a new one of the name is not granted', async () => {
      const { here } = await setUp();
      await grant(here, 'friend');
      await here.call('DELETE', PATH);
      expect(await here.ask(MODEL, {}, 'friend')).toMatchObject(missing);
      await here.call('POST', '/v1/prefixes', { name: NAME, text: 'old' });
      expect(await here.ask(MODEL, {}, 'friend')).toMatchObject(missing);
      expect(await models(here, 'friend')).toEqual(['tiny']);
    });

    it('ends with either tenant', async () => {
      const { here, a } = await setUp();
      // A tenant with keys in the settings cannot be deleted: these two have none.
      await here.call('PUT', `${PATH}/grants/leaving`);
      await here.call('POST', '/v1/admin/tenants/leaving', { weight: 2 }, 'admin');
      const key = await here.call('POST', '/v1/admin/keys', { tenant: 'leaving' }, 'admin');
      expect(key.status).toBe(201);
      expect((await here.call('DELETE', '/v1/admin/tenants/leaving', undefined, 'admin')).status).toBe(200);
      expect((await here.call('GET', `${PATH}/grants`)).body['data']).toEqual([]);
      expect(fingerprintOf(await here.ask(NAME))).toBe(a);
    });

    it('refuses what is no other tenant, and finds nothing that is not there', async () => {
      const { here } = await setUp();
      expect(await grant(here, 'Owner')).toMatchObject({ status: 400, body: { error: { code: 'grant_invalid' } } });
      expect(await grant(here, '.x')).toMatchObject({ status: 400, body: { error: { code: 'tenant_invalid' } } });
      expect(await grant(here, 'friend', 'other')).toMatchObject({ status: 404 });
      expect(await here.ask('nobody:x', {}, 'friend')).toMatchObject(missing);
      for (const model of [':x', 'Owner:', 'Owner:a:b', 'owner~0123456789abcdef:users/alice'])
        expect(await here.ask(model)).toMatchObject(missing);
    });
  });
}
