import type { JobKind } from '../../jobs/job.js';
import { tenantKey } from '../../prefix/name.js';

/**
 * Keys of one kind of jobs, all in one slot of a cluster (SLOT is `tuning` for fine-tuning, `batches` for batches):
 *
 *     preamble:1:{SLOT}:jobs:TENANT         sorted set of ids, by the time they were added
 *     preamble:1:{SLOT}:job:TENANT:ID       hash of the job's fields, each as JSON
 *     preamble:1:{SLOT}:events:TENANT:ID    list of JSON, newest first
 *     preamble:1:{SLOT}:results:TENANT:ID   hash of the results of a job that runs, by number: list, tab, text
 *     preamble:1:{SLOT}:counts:TENANT:ID    hash of sums over those results
 *     preamble:1:{SLOT}:unfinished:TENANT   set of the ids of unfinished jobs
 *     preamble:1:{SLOT}:unfinished-on:FP    sorted set of `ID TENANT` of one base model, by the time they were added
 *     preamble:1:{SLOT}:turns:FP            see `round-robin.ts`
 *     preamble:1:{SLOT}:looks:FP            see `lost-jobs.ts`
 *     preamble:1:{SLOT}:queue:FP:...        BullMQ's
 */
export class JobKeys {
  readonly #root: string;

  constructor({ slot }: Pick<JobKind, 'slot'>) {
    this.#root = `preamble:1:{${slot}}`;
  }

  /** Keys of one tenant. Throws `tenant_invalid`. */
  of(tenant: string): TenantJobKeys {
    return new TenantJobKeys(this.#root, tenantKey(tenant));
  }

  /** @param fingerprint of a base model */
  unfinishedOn(fingerprint: string): string {
    return `${this.#root}:unfinished-on:${fingerprint.slice(0, 16)}`;
  }

  /** @param queue name of a queue */
  turns(queue: string): string {
    return `${this.#root}:turns:${queue}`;
  }

  /** @param queue name of a queue */
  looks(queue: string): string {
    return `${this.#root}:looks:${queue}`;
  }

  /** Prefix of the keys of all queues. */
  get queues(): string {
    return `${this.#root}:queue`;
  }
}

/** Keys of one tenant's jobs of one kind. */
export class TenantJobKeys {
  constructor(
    private readonly root: string,
    private readonly tenant: string,
  ) {}

  get ids(): string {
    return `${this.root}:jobs:${this.tenant}`;
  }

  get unfinished(): string {
    return `${this.root}:unfinished:${this.tenant}`;
  }

  job(id: string): string {
    return `${this.root}:job:${this.tenant}:${id}`;
  }

  events(id: string): string {
    return `${this.root}:events:${this.tenant}:${id}`;
  }

  results(id: string): string {
    return `${this.root}:results:${this.tenant}:${id}`;
  }

  counts(id: string): string {
    return `${this.root}:counts:${this.tenant}:${id}`;
  }
}
