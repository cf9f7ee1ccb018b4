import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, makeDirectoryDurably, renameDurably, writeDurably } from '../../disk/durable.js';
import type { Scratch } from '../../disk/scratch.js';
import { PrefixError } from '../errors.js';
import type { ForeignPrefix } from '../store.js';

/** Prefixes of others that were noted for tenants: a file for each tenant that has any, replaced as a whole. One change of a file at a time. */
export class OfferFiles {
  constructor(
    private readonly directory: string,
    private readonly scratch: Scratch,
  ) {}

  /**
   * The prefixes that were noted, the oldest first.
   * @param tenant the tenant's key
   * @throws PrefixError `prefix_damaged`
   */
  async read(tenant: string): Promise<readonly ForeignPrefix[]> {
    const text = await ifExists(fs.readFile(this.#file(tenant), 'utf8'));
    if (text === undefined) return [];
    try {
      const offers = JSON.parse(text) as unknown;
      if (Array.isArray(offers) && offers.every(isOffer)) return offers;
    } catch {
      // Not JSON: refused below.
    }
    throw new PrefixError('prefix_damaged', 'tenant: the stored list of prefixes of others is damaged');
  }

  /** Notes a prefix for a tenant, or removes its note. */
  async note(tenant: string, { owner, name }: ForeignPrefix, isOffered: boolean): Promise<void> {
    const before = await this.read(tenant);
    const others = before.filter((offer) => offer.owner !== owner || offer.name !== name);
    if (isOffered === others.length < before.length) return;
    const after = isOffered ? [...others, { owner, name }] : others;
    await this.scratch.withDirectory(async (draft) => {
      await writeDurably(path.join(draft, 'offers.json'), JSON.stringify(after, undefined, 2));
      await makeDirectoryDurably(this.directory);
      await renameDurably(path.join(draft, 'offers.json'), this.#file(tenant));
    });
  }

  #file(tenant: string): string {
    return path.join(this.directory, `${tenant}.json`);
  }
}

function isOffer(value: unknown): value is ForeignPrefix {
  const { owner, name } = (value ?? {}) as Partial<ForeignPrefix>;
  return typeof owner === 'string' && typeof name === 'string';
}
