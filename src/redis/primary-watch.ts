import type { Redis } from 'ioredis';

import { withLinkAside } from './link.js';

/** From one look at the links to the next. Milliseconds. */
const LOOK_EVERY_MS = 2000;

/**
 * Moves links to the new primary after a failover that leaves them open: a server that has become a replica goes on to answer reads,
 * refuses writes and may hear nothing of what is published. A link to a replica is opened anew once its address leads to a primary;
 * until then it stays, so that reads go on.
 */
export class PrimaryWatch {
  /** Links that are open. */
  readonly #links = new Set<Redis>();
  /** Links that have not answered yet: the answer waits behind a command that blocks. */
  readonly #asked = new Set<Redis>();
  readonly #timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  #trial: Promise<boolean> | undefined;

  add(link: Redis): void {
    this.#links.add(link);
  }

  remove(link: Redis): void {
    this.#links.delete(link);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const link of this.#links) if (!this.#asked.has(link)) void this.#watch(link);
  }

  async #watch(link: Redis): Promise<void> {
    this.#asked.add(link);
    try {
      if (await leadsToPrimary(link)) return;
      this.#trial ??= newLinkLeadsToPrimary(link).finally(() => (this.#trial = undefined));
      if ((await this.#trial) && this.#links.has(link)) link.disconnect(true);
    } catch {
      // The link was lost, and is opened anew anyway.
    } finally {
      this.#asked.delete(link);
    }
  }
}

/** Asks by HELLO, which every user may send, on a link that listens too. (INFO and ROLE need a right.) */
async function leadsToPrimary(link: Redis): Promise<boolean> {
  const fields = ((await link.call('HELLO')) as unknown[]).map(String);
  return fields[fields.indexOf('role') + 1] !== 'replica';
}

/** As `leadsToPrimary`, for a new link to the same address. */
async function newLinkLeadsToPrimary(link: Redis): Promise<boolean> {
  return withLinkAside(link, { connectTimeout: LOOK_EVERY_MS, commandTimeout: LOOK_EVERY_MS }, leadsToPrimary);
}
