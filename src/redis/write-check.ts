import type { Redis } from 'ioredis';

import type { StoreFailure } from '../lib/store-health.js';
import { storeFailure } from './errors.js';

/** A key of ours that holds nothing. */
const KEY = 'preamble:1:{tuning}:check';

/**
 * Why Redis does not take writes or scripts now; undefined when it does. Writes nothing: within MULTI, Redis refuses a command when it is
 * queued, and DISCARD forgets it. (Were MULTI itself refused, the others would change nothing either.)
 */
export async function writeFailure(client: Redis): Promise<StoreFailure | undefined> {
  // In one go, so that no other command comes between MULTI and DISCARD.
  const answers = await Promise.allSettled([
    client.call('MULTI'),
    client.call('SET', KEY, '', 'XX'),
    client.call('EVALSHA', '0'.repeat(40), 0),
    client.call('DISCARD'),
  ]);
  const failed = answers.filter((answer) => answer.status === 'rejected');
  return failed.map(({ reason }) => storeFailure(reason as Error)).find((failure) => failure !== undefined);
}
