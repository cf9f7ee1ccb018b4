/** Limits of one tenant. Null is no limit; zero is a limit that lets nothing pass. */
export interface TenantLimits {
  /** The tenant's part of the machine relative to other tenants' weights, while several have work: above 0, at most 1000. */
  readonly weight: number;
  readonly requestsPerMinute: number | null;
  /** Prompt tokens and generated tokens. */
  readonly tokensPerMinute: number | null;
  readonly maxPrefixes: number | null;
  /** Bytes of all its prefixes together. */
  readonly maxPrefixBytes: number | null;
  /** The part of the waiting queue that the tenant may fill: above 0, at most 1. */
  readonly queueShare: number | null;
}

export type LimitName = keyof TenantLimits;

/** The limits that a tenant has of its own. For all others, the server's defaults hold. */
export type OwnLimits = Partial<TenantLimits>;

/** Changes of a tenant's own limits: a new value, or `default` to remove the limit. Limits that are left out stay as they are. */
export type LimitChanges = { readonly [K in LimitName]?: TenantLimits[K] | 'default' };

/** Names of all limits, in the order in which they are shown. */
export const LIMIT_NAMES = [
  'weight',
  'requestsPerMinute',
  'tokensPerMinute',
  'maxPrefixes',
  'maxPrefixBytes',
  'queueShare',
] as const satisfies readonly LimitName[];

export const MAX_WEIGHT = 1000;

/** No limits, and a weight of 1. */
export const NO_LIMITS: TenantLimits = {
  weight: 1,
  requestsPerMinute: null,
  tokensPerMinute: null,
  maxPrefixes: null,
  maxPrefixBytes: null,
  queueShare: null,
};

/** A tenant's own limits after a change. */
export function changeLimits(own: OwnLimits, changes: LimitChanges): OwnLimits {
  const entries = Object.entries({ ...own, ...changes }).filter(([, value]) => value !== 'default');
  return Object.fromEntries(entries);
}
