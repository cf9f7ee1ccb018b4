import { PrefixError } from './errors.js';

/** Limits of a tenant in the store of one base model. A limit that is not given does not apply. */
export interface PrefixQuota {
  /** Names. */
  readonly maxPrefixes?: number | undefined;
  /** Sum of `PrefixInfo.bytes` over every version of every name. */
  readonly maxBytes?: number | undefined;
}

/** Names and bytes that a tenant keeps, or that an upload adds. */
export interface PrefixUsage {
  readonly prefixes: number;
  /** As `PrefixQuota.maxBytes` counts them. */
  readonly bytes: number;
}

export function addUsage(a: PrefixUsage, b: PrefixUsage): PrefixUsage {
  return { prefixes: a.prefixes + b.prefixes, bytes: a.bytes + b.bytes };
}

/** The change of usage when this much is removed. */
export function negative({ prefixes, bytes }: PrefixUsage): PrefixUsage {
  return { prefixes: -prefixes, bytes: -bytes };
}

/** The usage of one name with these versions. */
export function usageOf(versions: readonly { readonly bytes: number }[]): PrefixUsage {
  return { prefixes: 1, bytes: versions.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Whether any limit applies; if none does, usage need not be known. */
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
