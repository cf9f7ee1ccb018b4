import fs from 'node:fs/promises';
import path from 'node:path';
import { setInterval } from 'node:timers/promises';

import { ifExists } from '../disk/durable.js';
import type { JobRecord } from './job.js';
import type { JobQueue } from './job-queue.js';
import type { JobStore } from './job-store.js';

/** From one comparison of store and queue to the next. */
const COMPARE_EVERY_MS = 60_000;

export interface RecoveryOptions {
  readonly jobs: Pick<JobStore<JobRecord>, 'unfinished'>;
  readonly queue: Pick<JobQueue, 'add'>;
  /** Fingerprint of the base model. */
  readonly fingerprint: string;
  /** Where jobs have their files while they run, a directory for each. */
  readonly directory: string;
  readonly compareEveryMs?: number;
}

/**
 * Brings the jobs back that a queue has lost: those of a process that ended, of a server that died before it had queued a job, of a
 * Redis that lost its last second.
 */
export class JobRecovery {
  readonly #stopped = new AbortController();
  #comparing: Promise<void> = Promise.resolve();

  constructor(private readonly options: RecoveryOptions) {}

  /** Removes the files of jobs that have ended, queues every unfinished job, and goes on comparing. Throws `StoreError`. */
  async start(): Promise<void> {
    const { jobs, fingerprint, directory } = this.options;
    // In this order: a job that another process has begun since is in the list.
    const left = (await ifExists(fs.readdir(directory))) ?? [];
    const unfinished = new Set((await jobs.unfinished(fingerprint)).map(({ id }) => id));
    for (const id of left.filter((name) => !unfinished.has(name))) {
      await fs.rm(path.join(directory, id), { recursive: true, force: true });
    }
    await this.#queueUnfinished();
    this.#comparing = this.#compare();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#comparing;
  }

  async #queueUnfinished(): Promise<void> {
    const { jobs, queue, fingerprint } = this.options;
    for (const job of await jobs.unfinished(fingerprint)) await queue.add(job);
  }

  async #compare(): Promise<void> {
    const { compareEveryMs = COMPARE_EVERY_MS } = this.options;
    try {
      for await (const _ of setInterval(compareEveryMs, undefined, { signal: this.#stopped.signal })) {
        await this.#queueUnfinished().catch(() => undefined); // the store is away: the next time
      }
    } catch (error) {
      if (!this.#stopped.signal.aborted) throw error;
    }
  }
}
