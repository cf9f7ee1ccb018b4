import type { CopyableStore, Partition, PrefixArchive } from '../../prefix/copy.js';
import type { RedisConnection } from '../connection.js';
import { TENANTS_KEY } from './keys.js';
import { RedisPrefixStore } from './redis-prefix-store.js';

/** All prefixes in a Redis, of all tenants and base models. */
export class RedisPrefixArchive implements PrefixArchive {
  constructor(private readonly connection: RedisConnection) {}

  async partitions(): Promise<Partition[]> {
    const members = new Set<string>();
    for await (const some of this.connection.client.sscanStream(TENANTS_KEY)) {
      for (const member of some as string[]) members.add(member);
    }
    return [...members].sort().map((member) => {
      const [fingerprint = '', tenant = ''] = member.split(' ');
      return { fingerprint, tenant };
    });
  }

  async open(fingerprint: string): Promise<CopyableStore> {
    return new RedisPrefixStore(this.connection, fingerprint);
  }
}
