import type { Redis } from 'ioredis';

import { TUNING_ROOT } from './scripts.js';
import { Script } from '../script.js';

/** BullMQ's priorities end at 2 ** 21. */
const MOST_TURNS = 2 ** 20;

/**
 * KEYS: turns. ARGV: tenant. Its next turn is the one after its last, and none that is over. When numbers run out they begin again: once
 * in a million turns, who comes then may come before who waits.
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
 * Turns of tenants for the workers of one base model: a job gets the number of its tenant's turn as its priority, so that each tenant's
 * first waiting job comes before any tenant's second. A sorted set: of each tenant the last turn it has, and of '' the turn that is now.
 */
export class Turns {
  readonly #key: string;

  constructor(
    private readonly client: Redis,
    queue: string,
  ) {
    this.#key = `${TUNING_ROOT}:turns:${queue}`;
  }

  /** The turn of one more job of a tenant: 1 or more, lower ones first. */
  async take(tenant: string): Promise<number> {
    return (await takeTurn.run(this.client, [this.#key], [tenant])) as number;
  }

  /** A job of this turn has begun: turns before it are over. */
  async begin(turn: number): Promise<void> {
    await this.client.zadd(this.#key, 'GT', turn, '');
  }
}
