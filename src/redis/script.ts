import { createHash } from 'node:crypto';

import type { Redis } from 'ioredis';

/** A Lua script that Redis runs in one step. Its text is sent only when Redis does not know it. */
export class Script {
  readonly #sha1: string;

  /** @param lua text of the script, over `KEYS` and `ARGV`; all keys of a call are in one cluster slot */
  constructor(private readonly lua: string) {
    this.#sha1 = createHash('sha1').update(lua).digest('hex');
  }

  /** Runs the script. Returns its result: a number, a string, null for false, or an array of those. */
  async run(client: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await client.evalsha(this.#sha1, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return client.eval(this.lua, keys.length, ...keys, ...args);
    }
  }
}
