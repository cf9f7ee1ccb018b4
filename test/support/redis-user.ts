import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { packageRoot } from '../../src/config/paths.js';
import type { RedisConnection } from '../../src/redis/connection.js';

const PASSWORD = 'a-password-of-redis';

/** Makes the user that docs/operations.md describes, by the line there, and returns the URL for it. */
export async function makeDocumentedUser({ client }: RedisConnection, port: number): Promise<string> {
  const text = await readFile(join(packageRoot, 'docs/operations.md'), 'utf8');
  const line = /^ACL (SETUSER preamble .*)$/m.exec(text)?.[1] ?? '';
  await client.call('ACL', ...line.replace('PASSWORD', PASSWORD).split(' '));
  return `redis://preamble:${PASSWORD}@127.0.0.1:${port}`;
}
