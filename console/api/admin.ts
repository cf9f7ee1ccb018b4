import { call } from './client.js';
import type { IssuedKey, Key, KeyList, Tenant, TenantChanges, TenantList } from './types.js';

const operator = { as: 'operator' } as const;

/** All pages of one of the operator's lists. */
async function all<T>(path: string): Promise<T[]> {
  const found: T[] = [];
  let after = '';
  for (;;) {
    const page = await call<{ data: T[]; has_more: boolean; last_id: string | null }>(
      `admin/${path}limit=100${after}`,
      operator,
    );
    found.push(...page.data);
    if (!page.has_more || page.last_id === null) return found;
    after = `&after=${encodeURIComponent(page.last_id)}`;
  }
}

/** All tenants with their limits. */
export function listTenants(): Promise<TenantList['data']> {
  return all<Tenant>('tenants?');
}

/** The keys of a tenant, without their secrets. */
export function listKeys(tenant: string): Promise<KeyList['data']> {
  return all<Key>(`keys?tenant=${encodeURIComponent(tenant)}&`);
}

/** Creates a tenant, or changes limits of one. */
export function setTenant(tenant: string, changes: TenantChanges): Promise<Tenant> {
  return call(`admin/tenants/${encodeURIComponent(tenant)}`, { ...operator, json: changes });
}

/** Deletes a tenant and its keys. @param withThings whether its prefixes, files and jobs are deleted too */
export async function deleteTenant(tenant: string, withThings: boolean): Promise<void> {
  await call(`admin/tenants/${encodeURIComponent(tenant)}?prefixes=${withThings}`, { ...operator, method: 'DELETE' });
}

/** Makes a key. Its answer is the only place that ever has it. */
export function createKey(tenant: string, label: string): Promise<IssuedKey> {
  return call('admin/keys', { ...operator, json: { tenant, ...(label !== '' && { label }) } });
}

/** Ends a key. */
export async function revokeKey(id: string): Promise<void> {
  await call(`admin/keys/${encodeURIComponent(id)}`, { ...operator, method: 'DELETE' });
}
