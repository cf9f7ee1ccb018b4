import { PrefixError, prefixNotFound } from './errors.js';
import { checkTenantName, isPrefixName, isTenantName } from './name.js';
import { sharesOf } from './shares.js';
import {
  findVersion,
  type ForeignPrefix,
  type NameState,
  type PrefixDetails,
  type PrefixStore,
  withInfo,
} from './store.js';

/** Tenants that one prefix may be granted to. */
const MAX_TENANTS = 1000;
/** Prefixes of others that may be granted to one tenant. */
const MAX_OFFERS = 1000;
/** Names of a tenant that are read in one page. */
const PAGE = 100;

/** A prefix of another tenant that a tenant may use. */
export interface GrantedPrefix extends ForeignPrefix {
  readonly details: PrefixDetails;
}

/**
 * Leave to use prefixes of other tenants. The prefix's own record says who may, so a grant begins and ends in one step of the store and dies
 * with the prefix. Notes at the other tenant only help to find grants: there is one for each grant, and there may be more.
 */
export class PrefixGrants {
  constructor(private readonly store: PrefixStore) {}

  /**
   * A prefix as another tenant may see it: the current version, or the one that begins with `version` if it has a share.
   * @throws PrefixError `prefix_not_found` also where the prefix is there, and not granted
   */
  async find(tenant: string, { owner, name }: ForeignPrefix, version?: string): Promise<PrefixDetails> {
    const isPossible = isTenantName(owner) && isPrefixName(name);
    const details = isPossible ? await this.store.get(owner, name) : undefined;
    const isAllowed = owner === tenant || details?.grants?.tenants.includes(tenant);
    const found = details && isAllowed ? withVersion(details, version) : undefined;
    if (found !== undefined) return found;
    throw prefixNotFound(`${owner}:${name}`);
  }

  /**
   * Tenants that may use a prefix.
   * @throws PrefixError `prefix_not_found`
   */
  async list(tenant: string, name: string): Promise<readonly string[]> {
    const details = isPrefixName(name) ? await this.store.get(tenant, name) : undefined;
    if (details === undefined) throw prefixNotFound(name);
    return details.grants?.tenants ?? [];
  }

  /**
   * Lets another tenant use a prefix. Whether there is such a tenant is not looked at, because it is not the owner's to know.
   * @throws PrefixError `prefix_not_found`, `tenant_invalid`, `grant_invalid` for the owner, `too_many_grants`
   */
  async add(tenant: string, name: string, to: string): Promise<void> {
    await this.list(tenant, name); // what is not there is not found, whoever it is to be granted to
    checkTenantName(to);
    if (to === tenant) throw new PrefixError('grant_invalid', 'tenant: is the owner of the prefix');
    const prefix = { owner: tenant, name };
    const offers = await this.store.offers(to);
    const isNoted = offers.some((offer) => offer.owner === tenant && offer.name === name);
    if (!isNoted && offers.length >= MAX_OFFERS)
      throw new PrefixError('too_many_grants', `tenant: may use ${MAX_OFFERS} prefixes of others, which is the limit`);
    await this.store.noteOffer(to, prefix, true);
    await this.#update(tenant, name, (tenants) => {
      if (tenants.includes(to)) return tenants;
      if (tenants.length < MAX_TENANTS) return [...tenants, to];
      throw new PrefixError(
        'too_many_grants',
        `tenant: the prefix is granted to ${MAX_TENANTS} tenants, which is the limit`,
      );
    });
    // Again: a revocation at the same time may have removed the note.
    await this.store.noteOffer(to, prefix, true);
  }

  /**
   * Takes the leave back, at once for every later request.
   * @throws PrefixError `prefix_not_found`, `grant_not_found`
   */
  async remove(tenant: string, name: string, from: string): Promise<void> {
    await this.#update(tenant, name, (tenants) => {
      if (tenants.includes(from)) return tenants.filter((other) => other !== from);
      throw new PrefixError('grant_not_found', `tenant: the prefix is not granted to this tenant`);
    });
    await this.#unnote(tenant, name, from);
  }

  /** The prefixes of others that a tenant may use. A prefix that cannot be read does not hide the others. */
  async granted(tenant: string): Promise<GrantedPrefix[]> {
    const granted: GrantedPrefix[] = [];
    for (const offer of await this.store.offers(tenant)) {
      try {
        granted.push({ ...offer, details: await this.find(tenant, offer) });
      } catch (error) {
        if (!(error instanceof PrefixError)) throw error;
      }
    }
    return granted;
  }

  /** Removes the notes of a prefix that was deleted. @param tenants that it was granted to */
  async forget(tenant: string, name: string, tenants: readonly string[]): Promise<void> {
    for (const other of tenants) await this.store.noteOffer(other, { owner: tenant, name }, false);
  }

  /** Ends all grants to a tenant and by it. A call that was cut off can be repeated. */
  async endAll(tenant: string): Promise<void> {
    for (const { owner, name } of await this.store.offers(tenant)) {
      await this.#unlessGone(() => this.remove(owner, name, tenant));
      await this.store.noteOffer(tenant, { owner, name }, false);
    }
    for (let after: string | undefined, more = true; more;) {
      const page = await this.store.list(tenant, { limit: PAGE, after });
      for (const { name } of page.data) await this.#unlessGone(() => this.#removeAll(tenant, name));
      after = page.data.at(-1)?.name;
      more = page.hasMore;
    }
  }

  async #removeAll(tenant: string, name: string): Promise<void> {
    const tenants = await this.list(tenant, name);
    if (tenants.length === 0) return;
    await this.#update(tenant, name, () => []);
    await this.forget(tenant, name, tenants);
  }

  async #unlessGone(change: () => Promise<void>): Promise<void> {
    try {
      await change();
    } catch (error) {
      if (!(error instanceof PrefixError && error.reason === 'not_found')) throw error;
    }
  }

  /** Removes the note of a grant, and notes it again where it was granted meanwhile. */
  async #unnote(tenant: string, name: string, other: string): Promise<void> {
    const prefix = { owner: tenant, name };
    await this.store.noteOffer(other, prefix, false);
    const details = await this.store.get(tenant, name);
    if (details?.grants?.tenants.includes(other)) await this.store.noteOffer(other, prefix, true);
  }

  async #update(
    tenant: string,
    name: string,
    change: (tenants: readonly string[]) => readonly string[],
  ): Promise<void> {
    const toState = ({ shares, previous, grants }: PrefixDetails): NameState => {
      const tenants = change(grants?.tenants ?? []);
      return { shares, previous, grants: tenants.length === 0 ? undefined : { owner: tenant, tenants } };
    };
    const updated = isPrefixName(name) ? await this.store.update(tenant, name, toState) : undefined;
    if (updated === undefined) throw prefixNotFound(name);
  }
}

/** The details with the version that begins with these digits in front, if it has a share. */
function withVersion(details: PrefixDetails, digits: string | undefined): PrefixDetails | undefined {
  if (digits === undefined) return details;
  const shown = new Set(sharesOf(details).map(({ version }) => version));
  const info = findVersion(
    details.versions.filter(({ version }) => shown.has(version)),
    digits,
  );
  return info && withInfo(details, info);
}
