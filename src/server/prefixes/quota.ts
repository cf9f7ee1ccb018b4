import type { PrefixQuota } from '../../prefix/library.js';
import type { TenantLimits } from '../../tenancy/limits.js';

/** What of a tenant's limits the library heeds. */
export function toQuota({ maxPrefixes, maxPrefixBytes }: TenantLimits): PrefixQuota {
  return { maxPrefixes: maxPrefixes ?? undefined, maxBytes: maxPrefixBytes ?? undefined };
}
