import { setTimeout as delay } from 'node:timers/promises';

import { DelayedError, type Job, Queue, WaitingError } from 'bullmq';
import type { Redis } from 'ioredis';

import type { JobKind, JobRef } from '../../jobs/job.js';
import type { JobQueue, Worker } from '../../jobs/job-queue.js';
import type { RedisConnection } from '../connection.js';
import { mapRedisErrors } from '../store-error.js';
import { JobLock } from './job-lock.js';
import { JobKeys } from './keys.js';
import { lookEvery, LostJobs } from './lost-jobs.js';
import { PacedWorker } from './paced-worker.js';
import { RoundRobin } from './round-robin.js';

const mapErrors = mapRedisErrors('jobs');

/** Workers of one job that may die: then it is the job's fault, and it has failed. */
const MOST_DEATHS = 5;
const RETRY_AFTER = 5000;
/** How long `close` waits for Redis once no job runs. Milliseconds. */
const CLOSE_TIMEOUT = 2000;

export interface RedisJobQueueOptions {
  readonly connection: RedisConnection;
  readonly kind: JobKind;
  /** Of the base model: each has a queue of its own. */
  readonly fingerprint: string;
  /** Jobs that run at the same time in this process. */
  readonly workers: number;
  /** Another worker takes a job whose worker was not heard of for so long. Milliseconds. */
  readonly lostAfter: number;
  /** How long a job waits whose store was away. Milliseconds. */
  readonly retryAfter?: number;
}

type QueuedJob = Job<Pick<JobRef, 'tenant'>, void>;

/**
 * The jobs of one kind and one base model in BullMQ, for workers on any number of machines. It carries ids and tenants' names; all else is in the
 * stores, which decide: a job that is delivered twice is done once.
 */
export class RedisJobQueue implements JobQueue {
  readonly #options: RedisJobQueueOptions;
  readonly #keys: JobKeys;
  readonly #queue: Queue<Pick<JobRef, 'tenant'>, void>;
  readonly #turns: RoundRobin;
  readonly #leaving = new AbortController();
  #patient: Redis | undefined;
  #worker: PacedWorker<Pick<JobRef, 'tenant'>> | undefined;
  #lost: LostJobs | undefined;
  /** By the job's id. */
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(options: RedisJobQueueOptions) {
    this.#options = options;
    this.#keys = new JobKeys(options.kind);
    const { client } = options.connection;
    this.#queue = new Queue(this.#name, {
      ...this.#shared,
      connection: client,
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
      streams: { events: { maxLen: 100 } }, // nobody reads them
    });
    this.#queue.on('error', () => undefined); // commands tell
    this.#turns = new RoundRobin(client, this.#keys.turns(this.#name));
  }

  async add({ tenant, id }: JobRef): Promise<void> {
    // One that is there keeps its turn.
    if (await mapErrors(this.#queue.getJob(id))) return;
    const priority = await mapErrors(this.#turns.take(tenant));
    await mapErrors(this.#queue.add(this.#options.kind.slot, { tenant }, { jobId: id, priority }));
  }

  async work(worker: Worker): Promise<void> {
    const { connection, workers: concurrency, lostAfter } = this.#options;
    this.#patient = connection.patientClient();
    const bull = new PacedWorker<Pick<JobRef, 'tenant'>>(
      this.#name,
      (job, token = '') => this.#run(job, token, worker),
      {
        ...this.#shared,
        connection: this.#patient,
        concurrency,
        lockDuration: lostAfter,
        stalledInterval: lookEvery(lostAfter),
        skipStalledCheck: true, // `LostJobs` does it
        maxStalledCount: MOST_DEATHS - 1,
        runRetryDelay: 1000,
        skipLockRenewal: true, // `JobLock` does it, and stops a job that is another's
      },
    );
    bull.on('error', () => undefined); // it goes on by itself
    bull.on('failed', (job, error) => void this.#giveUp(job, error, worker).catch(() => undefined));
    this.#worker = bull;
    this.#lost = new LostJobs({
      client: this.#patient,
      looks: this.#keys.looks(this.#name),
      stalled: bull.toKey('stalled'),
      lostAfter,
      reclaim: () => bull.backend.moveStalledJobsToWait(),
    });
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    this.#lost?.stop();
    // While Redis is away, a close that waits would never end (bullmq issue 4656).
    const closed = this.#worker?.close(this.#patient?.status !== 'ready');
    await Promise.all(this.#running.values());
    await Promise.race([closed, delay(CLOSE_TIMEOUT)]);
    this.#patient?.disconnect();
  }

  get #name(): string {
    return this.#options.fingerprint.slice(0, 16);
  }

  get #shared(): { prefix: string; skipVersionCheck: boolean } {
    // The check writes to the console, and `preamble doctor` makes it.
    return { prefix: this.#keys.queues, skipVersionCheck: true };
  }

  async #run(job: QueuedJob, token: string, worker: Worker): Promise<void> {
    const { lostAfter, retryAfter = RETRY_AFTER } = this.#options;
    const { data, id = '', opts } = job;
    await this.#turns.begin(opts.priority ?? 0).catch(() => undefined); // it is for fairness only
    const lock = new JobLock(() => this.#keep(job, token), lostAfter);
    try {
      await this.#running.get(id); // this worker lost it and has it again: its files are one run's at a time
      const stop = AbortSignal.any([this.#leaving.signal, lock.lost]);
      const running = worker.run({ tenant: data.tenant, id }, stop).catch(() => 'failed' as const);
      this.#running.set(id, running);
      const outcome = await running.finally(() => this.#running.delete(id));
      await lock.renew(this.#leaving.signal); // BullMQ is told below, which it accepts from the holder only
      if (outcome === 'done') return;
      if (lock.lost.aborted) throw new WaitingError(); // it is another's
      await this.#putBack(job, token, outcome === 'failed' ? retryAfter : 0);
    } finally {
      lock.release();
    }
  }

  /** Lets a job wait for a worker again, from `pause` milliseconds on. Throws what tells BullMQ so. */
  async #putBack(job: QueuedJob, token: string, pause: number): Promise<never> {
    if (pause > 0) {
      await job.moveToDelayed(Date.now() + pause, token);
      throw new DelayedError();
    }
    await job.moveToWait(token);
    throw new WaitingError();
  }

  /**
   * Makes a job's lock last again. While Redis is away it runs out: then it is taken once more, unless the job was brought to another
   * worker. False when it is not this one's any more.
   */
  async #keep(job: QueuedJob, token: string): Promise<boolean> {
    const { lostAfter } = this.#options;
    if ((await job.extendLock(token, lostAfter)) === 1) return true;
    if (!(await job.isActive())) return false;
    await this.#patient?.set(this.#queue.toKey(`${job.id}:lock`), token, 'PX', lostAfter, 'NX');
    return (await job.extendLock(token, lostAfter)) === 1; // takes it off the list of stalled jobs too
  }

  /** Ends a job that BullMQ has given up. */
  async #giveUp(job: QueuedJob | undefined, error: Error, worker: Worker): Promise<void> {
    if (job?.id === undefined || !/stalled/.test(error.message)) return;
    await worker.giveUp({ tenant: job.data.tenant, id: job.id }, MOST_DEATHS);
  }
}
