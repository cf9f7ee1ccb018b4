import { PrefixError } from './errors.js';

/** Limits of what a tenant keeps in the store of one base model. One that is not given is no limit. */
export interface PrefixQuota {
  /** Names. */
  readonly maxPrefixes?: number | undefined;
  /** Sum of the `bytes` of every version of every name. */
  readonly maxBytes?: number | undefined;
}

/** Use of a quota: of a tenant, or what an upload adds to that. */
export interface PrefixUsage {
  readonly prefixes: number;
  /** As `PrefixQuota.maxBytes` counts them. */
  readonly bytes: number;
}

export function addUsage(a: PrefixUsage, b: PrefixUsage): PrefixUsage {
  return { prefixes: a.prefixes + b.prefixes, bytes: a.bytes + b.bytes };
}

/** The change of a tenant's use when this much is removed. */
export function negative({ prefixes, bytes }: PrefixUsage): PrefixUsage {
  return { prefixes: -prefixes, bytes: -bytes };
}

/** Use by one name with these versions. */
export function usageOf(versions: readonly { readonly bytes: number }[]): PrefixUsage {
  return { prefixes: 1, bytes: versions.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Whether anything is limited: otherwise use need not be counted. */
export function isLimited({ maxPrefixes, maxBytes }: PrefixQuota): boolean {
  return maxPrefixes !== undefined || maxBytes !== undefined;
}

/** Whether `used` and `growth` together are within the quota. Throws `prefix_quota_exceeded`, naming limit and use. */
export function checkQuota(used: PrefixUsage, growth: PrefixUsage, { maxPrefixes, maxBytes }: PrefixQuota): void {
  if (growth.prefixes > 0 && maxPrefixes !== undefined && used.prefixes + growth.prefixes > maxPrefixes) {
    throw new PrefixError(
      'prefix_quota_exceeded',
      `name: ${used.prefixes} of at most ${maxPrefixes} prefixes are used`,
    );
  }
  if (growth.bytes > 0 && maxBytes !== undefined && used.bytes + growth.bytes > maxBytes) {
    const use = `${used.bytes} of at most ${maxBytes} bytes are used`;
    throw new PrefixError('prefix_quota_exceeded', `name: ${use}, and this version has ${growth.bytes}`);
  }
}
