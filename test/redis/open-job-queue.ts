import { onTestFinished } from 'vitest';

import { FINE_TUNING } from '../../src/fine-tuning/job.js';
import type { RedisConnection } from '../../src/redis/connection.js';
import { RedisJobQueue, type RedisJobQueueOptions } from '../../src/redis/jobs/redis-job-queue.js';
import { FINGERPRINT } from '../fine-tuning/fixtures.js';

/** One process's end of the queue of fine-tuning jobs: with one worker, that is lost after 5 s. The end of the test closes it. */
export function openJobQueue(
  connection: RedisConnection,
  options: Partial<Omit<RedisJobQueueOptions, 'connection'>> = {},
): RedisJobQueue {
  const usual = { kind: FINE_TUNING, fingerprint: FINGERPRINT, workers: 1, lostAfter: 5000 };
  const queue = new RedisJobQueue({ ...usual, ...options, connection });
  onTestFinished(() => queue.close());
  return queue;
}
