import type { Redis } from 'ioredis';

import { damagedJob } from '../../jobs/errors.js';
import {
  type JobChange,
  type JobEvent,
  type JobKind,
  type JobRecord,
  type JobRef,
  type JobStatus,
  UNFINISHED,
} from '../../jobs/job.js';
import { type JobStore, MAX_EVENTS, MAX_FINISHED_JOBS, tooManyJobs } from '../../jobs/job-store.js';
import { type Page, pageOf, type PageOptions } from '../../lib/page.js';
import type { RedisConnection } from '../connection.js';
import { mapRedisErrors } from '../store-error.js';
import { JobKeys } from './keys.js';
import { addEvent, addJob, changeJob, deleteJob, surplusJobs } from './scripts.js';
import { newestFirst } from '../newest-first.js';

const mapErrors = mapRedisErrors('jobs');

/** Jobs of one kind on Redis; each change is one script. */
export class RedisJobStore<Job extends JobRecord> implements JobStore<Job> {
  readonly #client: Redis;
  readonly #keys: JobKeys;

  /** @param maxFinished finished jobs that a tenant keeps */
  constructor(
    { client }: Pick<RedisConnection, 'client'>,
    kind: JobKind,
    private readonly maxFinished = MAX_FINISHED_JOBS,
  ) {
    this.#client = client;
    this.#keys = new JobKeys(kind);
  }

  async add(tenant: string, job: Job, maxUnfinished?: number): Promise<void> {
    await this.#dropSurplus(tenant);
    const args = [job.id, job.created, member({ tenant, id: job.id }), maxUnfinished ?? '', ...encode(job)];
    const unfinished = await mapErrors(addJob.run(this.#client, this.#touched(tenant, job), args));
    if (unfinished !== -1) throw tooManyJobs(Number(unfinished), maxUnfinished ?? 0);
  }

  async get(tenant: string, id: string): Promise<Job | undefined> {
    const hash = await mapErrors(this.#client.hgetall(this.#keys.of(tenant).job(id)));
    return hash['id'] === undefined ? undefined : (decodeJob(id, Object.entries(hash)) as Job);
  }

  list(tenant: string, options: PageOptions): Promise<Page<Job>> {
    return mapErrors(
      newestFirst(this.#client, this.#keys.of(tenant).ids, options, (id) => this.get(tenant, id), 'job_damaged'),
    );
  }

  async change(
    tenant: string,
    id: string,
    from: readonly JobStatus[],
    change: JobChange<Job>,
  ): Promise<Job | undefined> {
    const fingerprint = await this.#fingerprintOf(tenant, id);
    if (fingerprint === undefined) return undefined;
    const finished = change.status !== undefined && !UNFINISHED.includes(change.status);
    const statuses = from.map((status) => JSON.stringify(status));
    const args = [id, member({ tenant, id }), finished ? 1 : 0, statuses.length, ...statuses, ...encode(change)];
    const flat = await mapErrors(changeJob.run(this.#client, this.#touched(tenant, { id, fingerprint }), args));
    return flat === null ? undefined : (decodeJob(id, pairs(flat as string[])) as Job);
  }

  async delete(tenant: string, id: string): Promise<boolean> {
    const fingerprint = await this.#fingerprintOf(tenant, id);
    if (fingerprint === undefined) return false;
    const keys = [...this.#touched(tenant, { id, fingerprint }), this.#keys.of(tenant).events(id)];
    return (await mapErrors(deleteJob.run(this.#client, keys, [id, member({ tenant, id })]))) === 1;
  }

  async addEvent(tenant: string, id: string, event: JobEvent): Promise<void> {
    const keys = this.#keys.of(tenant);
    await mapErrors(addEvent.run(this.#client, [keys.job(id), keys.events(id)], [JSON.stringify(event)]));
  }

  async events(tenant: string, id: string, options: PageOptions): Promise<Page<JobEvent>> {
    const events = await mapErrors(this.#client.lrange(this.#keys.of(tenant).events(id), 0, MAX_EVENTS - 1));
    return pageOf(
      events.map((event) => parse(event) as JobEvent | undefined).filter((event) => event !== undefined),
      options,
    );
  }

  async unfinished(fingerprint: string): Promise<readonly JobRef[]> {
    const members = await mapErrors(this.#client.zrange(this.#keys.unfinishedOn(fingerprint), '0', '-1'));
    return members.map((text) => {
      const space = text.indexOf(' ');
      return { id: text.slice(0, space), tenant: text.slice(space + 1) };
    });
  }

  /** The base model of a job, which never changes; empty where that is damaged, undefined where there is no job. */
  async #fingerprintOf(tenant: string, id: string): Promise<string | undefined> {
    const text = await mapErrors(this.#client.hget(this.#keys.of(tenant).job(id), 'fingerprint'));
    return text === null ? undefined : ((parse(text) as string | undefined) ?? '');
  }

  /** In steps of their own: a job that has finished stays so. */
  async #dropSurplus(tenant: string): Promise<void> {
    const keys = this.#keys.of(tenant);
    const ids = await mapErrors(surplusJobs.run(this.#client, [keys.ids, keys.unfinished], [this.maxFinished]));
    for (const id of ids as string[]) await this.delete(tenant, id);
  }

  /** Keys of `addJob`, `changeJob` and `deleteJob`. */
  #touched(tenant: string, { id, fingerprint }: Pick<JobRecord, 'id' | 'fingerprint'>): string[] {
    const keys = this.#keys.of(tenant);
    return [keys.job(id), keys.ids, keys.unfinished, this.#keys.unfinishedOn(fingerprint)];
  }
}

function member({ tenant, id }: JobRef): string {
  return `${id} ${tenant}`;
}

/** Fields and their values, as a script takes them. */
function encode(part: object): string[] {
  return Object.entries(part).flatMap(([field, value]) => [field, JSON.stringify(value)]);
}

/** Decodes the hash of a job. Throws `job_damaged`. */
function decodeJob(id: string, fields: readonly (readonly [string, string])[]): object {
  const decoded = fields.map(([field, value]) => [field, parse(value)] as const);
  if (decoded.some(([, value]) => value === undefined)) throw damagedJob(id);
  return Object.fromEntries(decoded);
}

/** Undefined for what is no JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Field, value, field, value: as a script returns a hash. */
function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((field, i) => (i % 2 === 0 ? [[field, flat[i + 1] ?? '']] : []));
}
