import type { PrefixQuota } from '../../prefix/library.js';
import type { TenantLimits } from '../../tenancy/limits.js';

/** The part of a tenant's limits that the prefix library enforces. */
export function toQuota({ maxPrefixes, maxPrefixBytes }: TenantLimits): PrefixQuota {
  return { maxPrefixes: maxPrefixes ?? undefined, maxBytes: maxPrefixBytes ?? undefined };
}
