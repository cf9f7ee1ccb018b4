import { beforeEach, describe, expect, it } from 'vitest';

import type { Page } from '../../src/lib/page.js';
import type { LimitChanges } from '../../src/tenancy/limits.js';
import { issueKey } from '../../src/tenancy/managed-key.js';
import type { KeyRecord, TenancyStore } from '../../src/tenancy/store.js';

/** Opens the store under test; two calls see the same tenants and keys. */
export type OpenStore = () => Promise<TenancyStore>;

const newKey = (tenant: string, label?: string, now = 1_700_000_000_000): KeyRecord =>
  issueKey({ tenant, label }, now).record;

/** What every `TenancyStore` must do. `makeStore` gives each test an empty place and a way to open it. */
export function describeTenancyStore(kind: string, makeStore: () => Promise<OpenStore>): void {
  describe(`${kind} keeps the contract of tenants and keys`, () => {
    let open: OpenStore;
    let store: TenancyStore;

    beforeEach(async () => {
      open = await makeStore();
      store = await open();
    });

    it('has nothing before', async () => {
      expect(await store.getTenant('a')).toBeUndefined();
      expect(await store.getKey('0'.repeat(20))).toBeUndefined();
      expect(await store.listTenants({ limit: 5 })).toEqual({ data: [], hasMore: false });
      expect(await store.listKeys({ limit: 5 })).toEqual({ data: [], hasMore: false });
      expect(await store.listKeys({ limit: 5, tenant: 'a' })).toEqual({ data: [], hasMore: false });
      expect(await store.deleteTenant('a')).toBe(false);
      expect(await store.revokeKey('0'.repeat(20))).toBe(false);
    });

    it('gives back what was put, also after it is opened again', async () => {
      const limits = {
        weight: 0.25,
        requestsPerMinute: 0,
        tokensPerMinute: null,
        maxPrefixes: Number.MAX_SAFE_INTEGER,
        queueShare: 1,
      };
      const record = { tenant: 'a', created: 1_700_000_000, limits };
      expect(await store.setTenant('a', limits, 1_700_000_000)).toEqual(record);
      const [plain, labelled] = [newKey('a'), newKey('a', 'Ä "label"')];
      await store.addKey(plain);
      await store.addKey(labelled);
      for (const opened of [store, await open()]) {
        expect(await opened.getTenant('a')).toEqual(record);
        expect(await opened.getKey(plain.id)).toEqual(plain);
        expect(await opened.getKey(labelled.id)).toEqual(labelled);
      }
    });

    it('changes the limits that are given and leaves the others, and the time of creation', async () => {
      const change = (changes: LimitChanges, now: number) => store.setTenant('a', changes, now);
      expect(await change({}, 1)).toEqual({ tenant: 'a', created: 1, limits: {} });
      await change({ weight: 2, maxPrefixes: 5, queueShare: null }, 2);
      const changed = await change({ maxPrefixes: null, weight: 'default', tokensPerMinute: 7 }, 3);
      expect(changed).toEqual({
        tenant: 'a',
        created: 1,
        limits: { maxPrefixes: null, queueShare: null, tokensPerMinute: 7 },
      });
      expect(await store.getTenant('a')).toEqual(changed);
    });

    it('creates the tenant of a key, and leaves one that is there', async () => {
      await store.setTenant('old', { weight: 3 }, 5);
      await store.addKey(newKey('old'));
      await store.addKey(newKey('new'));
      expect(await store.getTenant('old')).toEqual({ tenant: 'old', created: 5, limits: { weight: 3 } });
      expect(await store.getTenant('new')).toEqual({ tenant: 'new', created: 1_700_000_000, limits: {} });
    });

    it('revokes one key, once', async () => {
      const [one, two] = [newKey('a'), newKey('a')];
      for (const key of [one, two]) await store.addKey(key);
      expect(await store.revokeKey(one.id)).toBe(true);
      expect(await store.revokeKey(one.id)).toBe(false);
      expect(await store.getKey(one.id)).toBeUndefined();
      expect(await store.getKey(two.id)).toEqual(two);
      expect((await store.listKeys({ limit: 5 })).data).toEqual([two]);
      expect((await store.listKeys({ limit: 5, tenant: 'a' })).data).toEqual([two]);
      expect(await (await open()).getKey(one.id)).toBeUndefined();
    });

    it('deletes a tenant with its keys, and nothing of another', async () => {
      const [mine, too, other] = [newKey('a'), newKey('a'), newKey('ab')];
      for (const key of [mine, too, other]) await store.addKey(key);
      expect(await store.deleteTenant('a')).toBe(true);
      expect(await store.deleteTenant('a')).toBe(false);
      for (const opened of [store, await open()]) {
        expect(await opened.getTenant('a')).toBeUndefined();
        expect(await opened.getKey(mine.id)).toBeUndefined();
        expect(await opened.listKeys({ limit: 5 })).toEqual({ data: [other], hasMore: false });
        expect(await opened.listKeys({ limit: 5, tenant: 'a' })).toEqual({ data: [], hasMore: false });
      }
      await store.setTenant('a', {}, 9);
      expect(await store.getTenant('a')).toEqual({ tenant: 'a', created: 9, limits: {} });
    });

    it('lists tenants in the order of their names, page by page, though the cursor be deleted', async () => {
      const names = Array.from({ length: 12 }, (_, i) => `t${(i * 7) % 12}`).concat('B', 'a.b', 'A_c');
      for (const name of names) await store.setTenant(name, {}, 1);
      const listed = await readPages(
        (after) => store.listTenants({ limit: 4, after }),
        async ({ tenant }) => {
          if (tenant === 't1') await store.deleteTenant(tenant);
          return tenant;
        },
      );
      expect(listed).toEqual([...names].sort());
    });

    it('lists keys in the order of their creation, those of one tenant too', async () => {
      const keys = Array.from({ length: 9 }, (_, i) => newKey(i % 3 === 0 ? 'a' : 'b', undefined, 1e12 + (i + 1)));
      for (const key of keys.toReversed()) await store.addKey(key);
      const idOf = async ({ id }: KeyRecord): Promise<string> => id;
      const all = await readPages((after) => store.listKeys({ limit: 3, after }), idOf);
      expect(all).toEqual(keys.map(({ id }) => id));
      const some = await readPages((after) => store.listKeys({ limit: 2, after, tenant: 'a' }), idOf);
      expect(some).toEqual(keys.filter(({ tenant }) => tenant === 'a').map(({ id }) => id));
    });

    it('keeps changes that are made at the same time', async () => {
      const keys = Array.from({ length: 20 }, (_, i) => newKey(i % 2 === 0 ? 'a' : 'b'));
      await Promise.all([
        ...keys.map((key) => store.addKey(key)),
        store.setTenant('a', { weight: 2 }, 1),
        store.setTenant('a', { maxPrefixes: 3 }, 1),
      ]);
      expect((await store.listKeys({ limit: 50 })).data).toHaveLength(20);
      expect(await store.getTenant('a')).toMatchObject({ limits: { weight: 2, maxPrefixes: 3 } });
    });

    it('tells of each change, and which keys it revokes', async () => {
      const told: (readonly string[] | undefined)[] = [];
      store.onChange((change) => told.push(change?.revoked));
      const [one, two, three] = [newKey('a'), newKey('a'), newKey('b')];
      for (const key of [one, two, three]) await store.addKey(key);
      await store.revokeKey(three.id);
      await store.deleteTenant('b');
      await store.deleteTenant('a');
      await expect.poll(() => told).toHaveLength(6);
      expect(told.slice(0, 5)).toEqual([[], [], [], [three.id], []]);
      expect([...(told[5] ?? [])].sort()).toEqual([one.id, two.id].sort());
    });
  });
}

async function readPages<T>(
  read: (after: string | undefined) => Promise<Page<T>>,
  keyOf: (item: T) => Promise<string>,
): Promise<string[]> {
  const listed: string[] = [];
  for (let more = true; more;) {
    const page = await read(listed.at(-1));
    for (const item of page.data) listed.push(await keyOf(item));
    more = page.hasMore;
  }
  return listed;
}
