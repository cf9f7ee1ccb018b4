import type { RedisConnection } from './connection.js';

/** Facts that a Redis reports about itself. A fact that it does not report is undefined. */
export interface RedisFacts {
  readonly version: string | undefined;
  /** Whether changes are written to an append-only file. */
  readonly appendOnly: boolean | undefined;
  /** Which keys Redis deletes when its memory is full; none with `noeviction`. */
  readonly evictionPolicy: string | undefined;
  /** Bytes. */
  readonly usedMemory: number | undefined;
  /** Bytes; also undefined when there is no limit. */
  readonly maxMemory: number | undefined;
}

/** Reads the facts by INFO, because hosted services often forbid CONFIG GET. */
export async function serverFacts({ client }: RedisConnection): Promise<RedisFacts> {
  const fields = new Map<string, string>();
  for (const [, name = '', value = ''] of (await client.info()).matchAll(/^(\w+):([^\r\n]*)/gm))
    fields.set(name, value);
  const count = (name: string): number | undefined => Number(fields.get(name)) || undefined;
  const aof = fields.get('aof_enabled');
  return {
    version: fields.get('redis_version'),
    appendOnly: aof === undefined ? undefined : aof === '1',
    evictionPolicy: fields.get('maxmemory_policy'),
    usedMemory: count('used_memory'),
    maxMemory: count('maxmemory'),
  };
}
