import fs from 'node:fs';

import { RedisConnection } from '../../src/redis/connection.js';
import { RedisPrefixStore } from '../../src/redis/prefixes/redis-prefix-store.js';
import { crashUpload, operationOf } from '../prefix/crash-plan.js';
import { base } from '../prefix/fixtures.js';

/**
 * Uploads and deletes until it is killed or Redis is: `node crash-child.mjs URL FIRST`, operations FIRST, FIRST + 1, ...
 * Says `N` before it starts operation N and `N done` once the store has acknowledged it.
 */
const [url = '', first = '0'] = process.argv.slice(2);
const connection = await RedisConnection.open({ url });
const store = new RedisPrefixStore(connection, base.fingerprint);
try {
  for (let number = Number(first); ; number++) {
    fs.writeSync(1, `${number}\n`);
    const { kind, name } = operationOf(number);
    if (kind === 'put') await store.put('t', crashUpload(name, number));
    else await store.delete('t', name);
    fs.writeSync(1, `${number} done\n`);
  }
} finally {
  connection.close();
}
