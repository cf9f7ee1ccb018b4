/** Limits of one tenant. Null is no limit; zero is a limit that lets nothing pass. */
export interface TenantLimits {
  /** Above 0 and at most 1000: the tenant's part of the machine while several want it, relative to the others' weights. */
  readonly weight: number;
  readonly requestsPerMinute: number | null;
  /** Prompt tokens and generated ones. */
  readonly tokensPerMinute: number | null;
  readonly maxPrefixes: number | null;
  /** Bytes of all its prefixes together. */
  readonly maxPrefixBytes: number | null;
  /** Above 0 and at most 1: the part of the waiting queue that the tenant may fill. */
  readonly queueShare: number | null;
}

export type LimitName = keyof TenantLimits;

/** The limits that a tenant has of its own; the server's defaults stand for the others. */
export type OwnLimits = Partial<TenantLimits>;

/** New values; `default` gives a limit of the tenant's own up, and what is left out stays as it is. */
export type LimitChanges = { readonly [K in LimitName]?: TenantLimits[K] | 'default' };

/** Every limit's name, in the order in which they are shown. */
export const LIMIT_NAMES = [
  'weight',
  'requestsPerMinute',
  'tokensPerMinute',
  'maxPrefixes',
  'maxPrefixBytes',
  'queueShare',
] as const satisfies readonly LimitName[];

export const MAX_WEIGHT = 1000;

/** Limits that limit nothing. */
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
