import { tenantKey } from '../../prefix/name.js';
import type { RedisConnection } from '../connection.js';
import { mapRedisErrors } from '../store-error.js';
import { seededKey } from './keys.js';

const reached = mapRedisErrors('prefixes');

/** Which tenants were given the bundled prefixes of one base model: a set of tenants' keys. */
export class RedisSeedMarker {
  readonly #key: string;

  constructor(
    private readonly connection: RedisConnection,
    fingerprint: string,
  ) {
    this.#key = seededKey(fingerprint);
  }

  async has(tenant: string): Promise<boolean> {
    return (await reached(this.connection.client.sismember(this.#key, tenantKey(tenant)))) === 1;
  }

  async add(tenant: string): Promise<void> {
    await reached(this.connection.client.sadd(this.#key, tenantKey(tenant)));
  }
}
