import { Script } from '../script.js';

/**
 * Tenants and keys in Redis:
 *
 *     preamble:{tenancy}:tenants          sorted set of names
 *     preamble:{tenancy}:tenant:NAME      hash: created, and the tenant's own limits
 *     preamble:{tenancy}:keys             sorted set of ids
 *     preamble:{tenancy}:keys-of:NAME     sorted set of a tenant's ids
 *     preamble:{tenancy}:key:ID           hash: tenant, created, last4, salt, hash, and label if given
 *
 * The braces keep all keys in one cluster slot, as scripts require. Every change is published on `CHANNEL`.
 */
const ROOT = 'preamble:{tenancy}';
export const CHANNEL = `${ROOT}:changes`;
export const TENANTS = `${ROOT}:tenants`;
export const KEYS = `${ROOT}:keys`;
const KEY_PREFIX = `${ROOT}:key:`;
const KEYS_OF_PREFIX = `${ROOT}:keys-of:`;

export function tenantName(tenant: string): string {
  return `${ROOT}:tenant:${tenant}`;
}

export function keyName(id: string): string {
  return `${KEY_PREFIX}${id}`;
}

export function keysOf(tenant: string): string {
  return `${KEYS_OF_PREFIX}${tenant}`;
}

const publishLimitsChanged = `redis.call('PUBLISH', '${CHANNEL}', '{"revoked":[]}')`;

/**
 * Changes a tenant's own limits. Creates the tenant if it is missing.
 *
 * KEYS: the tenant, TENANTS
 * ARGV: its name, the time, then limits and their values
 * Returns the tenant's hash.
 */
export const setTenant = new Script(`
redis.call('HSETNX', KEYS[1], 'created', ARGV[2])
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == 'default' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
${publishLimitsChanged}
return redis.call('HGETALL', KEYS[1])
`);

/**
 * Adds a key. Creates its tenant if it is missing.
 *
 * KEYS: the key, KEYS, the tenant's keys, the tenant, TENANTS
 * ARGV: id, tenant, the time, then fields and their values
 */
export const addKey = new Script(`
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('HSETNX', KEYS[4], 'created', ARGV[3])
redis.call('ZADD', KEYS[5], 0, ARGV[2])
${publishLimitsChanged}
`);

/**
 * Removes a key.
 *
 * KEYS: the key, KEYS
 * ARGV: id
 * Returns 1, or 0 when there is none.
 */
export const revokeKey = new Script(`
local tenant = redis.call('HGET', KEYS[1], 'tenant')
if not tenant then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', '${KEYS_OF_PREFIX}' .. tenant, ARGV[1])
redis.call('PUBLISH', '${CHANNEL}', cjson.encode({ revoked = { ARGV[1] } }))
return 1
`);

/**
 * Removes a tenant with all its keys.
 *
 * KEYS: the tenant, TENANTS, KEYS, the tenant's keys
 * ARGV: its name
 * Returns 1, or 0 when there is none.
 */
export const deleteTenant = new Script(`
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
local ids = redis.call('ZRANGE', KEYS[4], 0, -1)
for _, id in ipairs(ids) do
  redis.call('DEL', '${KEY_PREFIX}' .. id)
  redis.call('ZREM', KEYS[3], id)
end
redis.call('DEL', KEYS[4])
-- cjson encodes an empty table as an object.
local revoked = #ids > 0 and cjson.encode(ids) or '[]'
redis.call('PUBLISH', '${CHANNEL}', '{"revoked":' .. revoked .. '}')
return 1
`);
