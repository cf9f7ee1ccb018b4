import type { RedisConnection } from './connection.js';

/** What a Redis says of itself; undefined for what it does not tell. */
export interface RedisFacts {
  readonly version: string | undefined;
  /** Whether each change goes to its append-only file. */
  readonly appendOnly: boolean | undefined;
  /** What it drops when its memory is full: `noeviction` is nothing. */
  readonly evictionPolicy: string | undefined;
  /** Bytes. */
  readonly usedMemory: number | undefined;
  /** Bytes; undefined without a limit too. */
  readonly maxMemory: number | undefined;
}

/** Asks with INFO, which hosted services allow too, unlike CONFIG GET. */
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
