import type { Redis } from 'ioredis';

import type { JobKind, JobRef } from '../../jobs/job.js';
import type { Counts, JobResult, JobResultStore, OpenResults } from '../../jobs/job-results.js';
import type { RedisConnection } from '../connection.js';
import { mapRedisErrors } from '../store-error.js';
import { JobKeys } from './keys.js';
import { addResult } from './scripts.js';

const mapErrors = mapRedisErrors('jobs');

/** Results that are sent, or read, together. */
const TOGETHER = 16;

/** Keys of one job that has results. */
interface ResultKeys {
  readonly job: string;
  readonly results: string;
  readonly counts: string;
}

/**
 * Results of the jobs of one kind on Redis, in a hash by the number of the part: of two workers that add a result for one part, as one does
 * that was taken for dead, the first wins. Any server can go on.
 */
export class RedisJobResults implements JobResultStore {
  readonly #client: Redis;
  readonly #keys: JobKeys;

  constructor({ client }: Pick<RedisConnection, 'client'>, kind: JobKind) {
    this.#client = client;
    this.#keys = new JobKeys(kind);
  }

  async open(job: JobRef): Promise<OpenResults> {
    const keys = this.#keysOf(job);
    const numbers = await mapErrors(this.#client.hkeys(keys.results));
    return new ResultHash(this.#client, keys, new Set(numbers.map(Number)));
  }

  async delete(job: JobRef): Promise<void> {
    const { results, counts } = this.#keysOf(job);
    await mapErrors(this.#client.unlink(results, counts));
  }

  #keysOf({ tenant, id }: JobRef): ResultKeys {
    const keys = this.#keys.of(tenant);
    return { job: keys.job(id), results: keys.results(id), counts: keys.counts(id) };
  }
}

class ResultHash implements OpenResults {
  constructor(
    private readonly client: Redis,
    private readonly keys: ResultKeys,
    private readonly numbers: Set<number>,
  ) {}

  has(number: number): boolean {
    return this.numbers.has(number);
  }

  async counts(): Promise<Counts> {
    const fields = Object.entries(await mapErrors(this.client.hgetall(this.keys.counts)));
    return Object.fromEntries(fields.map(([name, sum]) => [name, Number(sum)]));
  }

  async add(results: readonly JobResult[]): Promise<void> {
    for (let at = 0; at < results.length; at += TOGETHER)
      await Promise.all(results.slice(at, at + TOGETHER).map((result) => this.#addOne(result)));
  }

  /** In the order of their numbers. */
  async *read(list: string): AsyncGenerator<Uint8Array, void> {
    const numbers = (await mapErrors(this.client.hkeys(this.keys.results))).sort((a, b) => Number(a) - Number(b));
    for (let at = 0; at < numbers.length; at += TOGETHER) {
      const values = await mapErrors(this.client.hmget(this.keys.results, ...numbers.slice(at, at + TOGETHER)));
      const texts = values.flatMap((value) =>
        value?.startsWith(`${list}\t`) ? `${value.slice(list.length + 1)}\n` : [],
      );
      if (texts.length > 0) yield Buffer.from(texts.join(''));
    }
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  async #addOne({ number, list, text, counts }: JobResult): Promise<void> {
    const { job, results, counts: sums } = this.keys;
    const args = [number, `${list}\t${text}`, ...Object.entries(counts).flat()];
    await mapErrors(addResult.run(this.client, [job, results, sums], args));
    this.numbers.add(number);
  }
}
