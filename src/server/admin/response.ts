import type { Page } from '../../lib/page.js';
import { LIMIT_NAMES, type LimitChanges, type LimitName } from '../../tenancy/limits.js';
import type { IssuedKey as Issued } from '../../tenancy/managed-key.js';
import type { KeyInfo, TenantInfo } from '../../tenancy/tenancy.js';
import type { IssuedKey, Key, KeyList, Tenant, TenantChanges, TenantList } from './schema.js';

const FIELDS = {
  weight: 'weight',
  requestsPerMinute: 'requests_per_minute',
  tokensPerMinute: 'tokens_per_minute',
  maxPrefixes: 'max_prefixes',
  maxPrefixBytes: 'max_prefix_bytes',
  queueShare: 'queue_share',
} as const satisfies Record<LimitName, keyof TenantChanges>;

/** The limits given in a body. Null and zero are values. */
export function toLimitChanges(body: TenantChanges): LimitChanges {
  const given = LIMIT_NAMES.filter((name) => body[FIELDS[name]] !== undefined);
  return Object.fromEntries(given.map((name) => [name, body[FIELDS[name]]]));
}

/** A tenant as the API shows it. */
export function toTenant({ tenant, created, isStatic, limits, own }: TenantInfo): Tenant {
  return {
    object: 'tenant',
    tenant,
    created: created === null ? null : Math.floor(created),
    static: isStatic,
    weight: limits.weight,
    requests_per_minute: limits.requestsPerMinute,
    tokens_per_minute: limits.tokensPerMinute,
    max_prefixes: limits.maxPrefixes,
    max_prefix_bytes: limits.maxPrefixBytes,
    queue_share: limits.queueShare,
    inherited: LIMIT_NAMES.filter((name) => own[name] === undefined).map((name) => FIELDS[name]),
  };
}

/** A page of tenants. */
export function toTenantList({ data, hasMore }: Page<TenantInfo>): TenantList {
  return toList(data.map(toTenant), hasMore, ({ tenant }) => tenant);
}

/** A key as the API shows it, without its secret and the secret's hash. */
function toKey(key: KeyInfo): Key {
  const { id, tenant, last4 = null } = key;
  const stored = 'hash' in key;
  return {
    object: 'key',
    id,
    tenant,
    label: (stored ? key.label : undefined) ?? null,
    last4,
    created: stored ? Math.floor(key.created) : null,
    static: !stored,
  };
}

/** A page of keys. */
export function toKeyList({ data, hasMore }: Page<KeyInfo>): KeyList {
  return toList(data.map(toKey), hasMore, ({ id }) => id);
}

/** A new key with its secret: the only answer that contains one. */
export function toIssuedKey({ text, record }: Issued): IssuedKey {
  return { ...toKey(record), key: text };
}

function toList<T>(data: T[], hasMore: boolean, idOf: (item: T) => string) {
  const [first, last] = [data.at(0), data.at(-1)];
  return {
    object: 'list' as const,
    data,
    first_id: first === undefined ? null : idOf(first),
    last_id: last === undefined ? null : idOf(last),
    has_more: hasMore,
  };
}
