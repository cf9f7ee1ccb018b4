import { createHash } from 'node:crypto';

import type { Redis } from 'ioredis';

/** A Lua script that Redis runs in one step. Redis is given its text once, and again when it has forgotten it. */
export class Script {
  readonly #sha1: string;

  /** @param lua reads `KEYS` and `ARGV`; every key of a call is in one slot */
  constructor(private readonly lua: string) {
    this.#sha1 = createHash('sha1').update(lua).digest('hex');
  }

  /** What the script returns: numbers, strings, null for false, or arrays of those. */
  async run(client: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await client.evalsha(this.#sha1, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return client.eval(this.lua, keys.length, ...keys, ...args);
    }
  }
}
