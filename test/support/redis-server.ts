import { inject } from 'vitest';

import { RedisProcess } from './redis-process.js';

export { freePort } from './redis-process.js';

/** A Redis of a test's own, of the program that `test/setup/programs.ts` found or fetched. */
export type RedisServer = RedisProcess;

export const RedisServer = {
  /** @param flags as `RedisProcess.start` */
  start: (flags: readonly string[] = []): Promise<RedisServer> => RedisProcess.start(inject('redis'), flags),
  /** A Valkey. Throws where there is none. */
  startValkey: (flags: readonly string[] = []): Promise<RedisServer> => {
    const valkey = inject('valkey');
    if (valkey === null) throw new Error('there is no valkey-server');
    return RedisProcess.start(valkey, flags);
  },
  /** A node of a cluster. */
  startNode: (): Promise<RedisServer> => RedisProcess.startNode(inject('redis')),
};
