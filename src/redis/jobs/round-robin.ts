import type { Redis } from 'ioredis';

import { Script } from '../script.js';

/** BullMQ's priorities end at 2 ** 21. */
const MOST_TURNS = 2 ** 20;

/**
 * KEYS: turns. ARGV: tenant. A tenant's next turn comes after its last, and is not over. When numbers run out they begin again: once in a
 * million turns, a new job may come before jobs that wait.
 */
const takeTurn = new Script(`
local now = tonumber(redis.call('ZSCORE', KEYS[1], '') or '0')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
local turn = math.max(now, tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0')) + 1
if turn > ${MOST_TURNS} then
  redis.call('DEL', KEYS[1])
  turn = 1
end
redis.call('ZADD', KEYS[1], turn, ARGV[1])
return turn
`);

/**
 * Numbers the jobs of a queue so that tenants take turns: a job gets the number of its tenant's turn as its priority, and each tenant's
 * first waiting job comes before any tenant's second. A sorted set holds the last turn of each tenant, and for '' the current turn.
 */
export class RoundRobin {
  constructor(
    private readonly client: Redis,
    private readonly key: string,
  ) {}

  /** Takes a turn for one more job of a tenant: 1 or more, lower turns come first. */
  async take(tenant: string): Promise<number> {
    return (await takeTurn.run(this.client, [this.key], [tenant])) as number;
  }

  /** Notes that a job of this turn has begun: turns before it are over. */
  async begin(turn: number): Promise<void> {
    await this.client.zadd(this.key, 'GT', turn, '');
  }
}
