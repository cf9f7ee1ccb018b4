import { tenantKey } from '../../prefix/name.js';
import type { RedisConnection } from '../connection.js';
import { mapRedisErrors } from '../store-error.js';
import { seededKey } from './keys.js';

const mapErrors = mapRedisErrors('prefixes');

/** A seed marker on Redis: the set of tenants that were given the bundled prefixes of one base model. */
export class RedisSeedMarker {
  readonly #key: string;

  constructor(
    private readonly connection: RedisConnection,
    fingerprint: string,
  ) {
    this.#key = seededKey(fingerprint);
  }

  async has(tenant: string): Promise<boolean> {
    return (await mapErrors(this.connection.client.sismember(this.#key, tenantKey(tenant)))) === 1;
  }

  async add(tenant: string): Promise<void> {
    await mapErrors(this.connection.client.sadd(this.#key, tenantKey(tenant)));
  }
}
