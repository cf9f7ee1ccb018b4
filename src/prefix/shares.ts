import { hash, randomInt } from 'node:crypto';

import { PrefixError } from './errors.js';
import { adapterId, tenantKey } from './name.js';
import type { NameState, PrefixDetails, PrefixInfo, Share } from './store.js';

/** Number of buckets that users and requests are sorted into: a share is a whole number of percent. */
export const BUCKETS = 100;

/** A version of a name, and the percent of requests that it is to answer. */
export interface WantedShare {
  /** The version's first 12 to 64 hex digits. */
  readonly version: string;
  /** A whole number, 0 to 100. */
  readonly percent: number;
}

/** The refusal of a standby that is a name's first version. */
export function firstStandby(): PrefixError {
  return new PrefixError('share_invalid', "share: 0 is not for a name's first version, which answers all requests");
}

/** Whose request it is. */
export interface Asker {
  readonly tenant: string;
  /** OpenAI's `user`: requests with the same one get the same version. Undefined, null or empty: each request gets one by chance. */
  readonly user?: string | null | undefined;
}

/** All requests for one version. */
export function allTo(version: string): readonly Share[] {
  return [{ version, buckets: Array.from({ length: BUCKETS }, (_, bucket) => bucket) }];
}

/** The shares of a name's versions; where none are set, the current version has all. */
export function sharesOf({ version, shares }: Pick<PrefixDetails, 'version' | 'shares'>): readonly Share[] {
  return shares ?? allTo(version);
}

/** The version that leads: the one with the largest share, the first of equals, `current` before others. */
export function leaderOf(shares: readonly Share[], current: string): string {
  const most = Math.max(...shares.map(({ buckets }) => buckets.length));
  const leaders = shares.filter(({ buckets }) => buckets.length === most).map(({ version }) => version);
  return leaders.includes(current) ? current : (leaders[0] ?? current);
}

/** The shares as a store keeps them: none where one version has all. */
export function storedShares(shares: readonly Share[] | undefined): readonly Share[] | undefined {
  return shares === undefined || shares.length === 1 ? undefined : shares;
}

/** The state of a name after its requests are shared in another way; what was before is remembered for `rollback`. */
function withShares(details: PrefixDetails, shares: readonly Share[]): NameState {
  const before = sharesOf(details);
  const { previous, grants } = details;
  return { shares, previous: isSame(before, shares) ? previous : before, grants };
}

/**
 * The state of a name whose versions get the shares that are wanted; those that are left out get none. Only as many buckets change hands
 * as must: raising one version's share moves users to it, and no others.
 * @throws PrefixError `shares_invalid` for shares that are not 100 together, and for versions that are not there or named twice
 */
export function reshare(details: PrefixDetails, wanted: readonly WantedShare[]): NameState {
  const percents = new Map<string, number>();
  for (const { version: digits, percent } of wanted) {
    const { version } = namedVersion(details.versions, digits);
    if (percents.has(version)) throw invalid(`version ${digits} is named twice`);
    percents.set(version, percent);
  }
  const sum = [...percents.values()].reduce((total, percent) => total + percent, 0);
  if (sum !== 100) throw invalid(`the percents add up to ${sum}; they must be 100 together`);
  return withShares(details, moveBuckets(sharesOf(details), percents));
}

/**
 * The state of a name after its last change of shares is undone. Doing it twice changes nothing.
 * @throws PrefixError `no_previous_shares`
 */
export function rollback(details: PrefixDetails): NameState {
  const { previous } = details;
  if (previous === undefined)
    throw new PrefixError('no_previous_shares', 'name: its shares have not changed; there is nothing to go back to');
  return withShares(details, previous);
}

/** The version that answers a request: the same for the same user while the shares stand, else one by chance. */
export function versionFor(details: PrefixDetails, owner: string, { tenant, user }: Asker): PrefixInfo {
  if (details.shares === undefined) return details;
  const bucket =
    (user ?? '') === '' ? randomInt(BUCKETS) : bucketOf(tenant, adapterId(owner, details.name), user ?? '');
  const version = details.shares.find(({ buckets }) => buckets.includes(bucket))?.version;
  return details.versions.find((info) => info.version === version) ?? details;
}

/** A user's bucket for a prefix, 0 to 99. Each prefix sorts users in its own way, and each tenant's are its own. */
function bucketOf(tenant: string, prefix: string, user: string): number {
  const digits = hash('sha256', JSON.stringify([tenantKey(tenant), prefix, user])).slice(0, 12);
  return Number.parseInt(digits, 16) % BUCKETS;
}

/** Takes the last buckets of those that have too many, and gives them to those that have too few. */
function moveBuckets(shares: readonly Share[], percents: ReadonlyMap<string, number>): Share[] {
  const wantedOf = (version: string): number => percents.get(version) ?? 0;
  const free = shares.flatMap(({ version, buckets }) => buckets.slice(wantedOf(version)).reverse());
  const kept = new Map(shares.map(({ version, buckets }) => [version, buckets.slice(0, wantedOf(version))]));
  const after = [...percents].map(([version, percent]) => {
    const own = kept.get(version) ?? [];
    return { version, buckets: [...own, ...free.splice(0, percent - own.length)] };
  });
  return after.filter(({ buckets }) => buckets.length > 0);
}

function namedVersion(versions: readonly PrefixInfo[], digits: string): PrefixInfo {
  const [found, another] = versions.filter(({ version }) => version.startsWith(digits));
  if (found === undefined) throw invalid(`the prefix has no version ${digits}`);
  if (another !== undefined) throw invalid(`more than one version begins with ${digits}; give more digits`);
  return found;
}

function isSame(a: readonly Share[], b: readonly Share[]): boolean {
  const versionOf = new Map(a.flatMap(({ version, buckets }) => buckets.map((bucket) => [bucket, version] as const)));
  return b.every(({ version, buckets }) => buckets.every((bucket) => versionOf.get(bucket) === version));
}

function invalid(problem: string): PrefixError {
  return new PrefixError('shares_invalid', `shares: ${problem}`);
}
