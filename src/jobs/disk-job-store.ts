import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists, replaceFile } from '../disk/durable.js';
import { DiskRecords } from '../files/disk-records.js';
import { damagedJob } from './errors.js';
import {
  isUnfinished,
  type JobChange,
  type JobEvent,
  type JobKind,
  type JobRecord,
  type JobRef,
  type JobStatus,
} from './job.js';
import { type JobStore, MAX_EVENTS, MAX_FINISHED_JOBS, tooManyJobs } from './job-store.js';
import { type Page, pageOf, type PageOptions } from '../lib/page.js';

const EVENTS_FILE = 'events.jsonl';

/** A job with its tenant: a directory's name is only the tenant's key. */
type Stored<Job> = Job & { readonly tenant: string };

/** Jobs of one kind in a directory: `JobStore` for one process. Events are lines of a file beside the job. */
export class DiskJobStore<Job extends JobRecord> implements JobStore<Job> {
  private constructor(
    private readonly records: DiskRecords<Stored<Job>>,
    private readonly maxFinished: number,
  ) {}

  /** @param maxFinished finished jobs that a tenant keeps */
  static async open<Job extends JobRecord>(
    directory: string,
    { folder }: JobKind,
    maxFinished = MAX_FINISHED_JOBS,
  ): Promise<DiskJobStore<Job>> {
    const options = { kind: folder, store: 'jobs', damaged: damagedJob } as const;
    return new DiskJobStore(await DiskRecords.open<Stored<Job>>(directory, options), maxFinished);
  }

  async add(tenant: string, job: Job, maxUnfinished = Infinity): Promise<void> {
    await this.records.exclusively(tenant, async () => {
      const jobs = await this.records.all(tenant);
      const finished = jobs.filter((each) => !isUnfinished(each));
      const unfinished = jobs.length - finished.length;
      if (unfinished + 1 > maxUnfinished) throw tooManyJobs(unfinished, maxUnfinished);
      for (const { id } of finished.slice(this.maxFinished)) await this.records.remove(tenant, id);
      await this.records.add(tenant, () => ({ ...job, tenant }));
    });
  }

  async get(tenant: string, id: string): Promise<Job | undefined> {
    const record = await this.records.get(tenant, id);
    return record && withoutTenant<Job>(record);
  }

  async list(tenant: string, options: PageOptions): Promise<Page<Job>> {
    const { data, hasMore } = pageOf(await this.records.all(tenant), options);
    return { data: data.map((record) => withoutTenant<Job>(record)), hasMore };
  }

  async change(
    tenant: string,
    id: string,
    from: readonly JobStatus[],
    change: JobChange<Job>,
  ): Promise<Job | undefined> {
    return this.records.exclusively(tenant, async () => {
      const record = await this.records.get(tenant, id);
      if (record === undefined || !from.includes(record.status)) return undefined;
      const changed = { ...record, ...change };
      await this.records.replace(tenant, changed);
      return withoutTenant<Job>(changed);
    });
  }

  delete(tenant: string, id: string): Promise<boolean> {
    return this.records.exclusively(tenant, () => this.records.remove(tenant, id));
  }

  async addEvent(tenant: string, id: string, event: JobEvent): Promise<void> {
    await this.records.exclusively(tenant, async () => {
      if ((await this.records.get(tenant, id)) === undefined) return;
      const events = await this.#events(tenant, id);
      const file = this.#eventsFile(tenant, id);
      if (events.length < 2 * MAX_EVENTS) await fs.appendFile(file, lineOf(event));
      else await replaceFile(file, [...events.slice(-MAX_EVENTS), event].map(lineOf).join(''));
    });
  }

  async events(tenant: string, id: string, options: PageOptions): Promise<Page<JobEvent>> {
    const events = (await this.records.readPart(tenant, id, () => this.#events(tenant, id))) ?? [];
    return pageOf(events.slice(-MAX_EVENTS).reverse(), options);
  }

  async unfinished(fingerprint: string): Promise<readonly JobRef[]> {
    const records = await Promise.all((await this.records.tenants()).map((key) => this.records.all(key)));
    return records
      .flat()
      .filter((job) => job.fingerprint === fingerprint && isUnfinished(job))
      .sort((a, b) => a.created - b.created)
      .map(({ tenant, id }) => ({ tenant, id }));
  }

  /** Oldest first. A process that was killed may have left half a line. */
  async #events(tenant: string, id: string): Promise<JobEvent[]> {
    const text = (await ifExists(fs.readFile(this.#eventsFile(tenant, id), 'utf8'))) ?? '';
    return text.split('\n').flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line) as JobEvent];
      } catch {
        return [];
      }
    });
  }

  #eventsFile(tenant: string, id: string): string {
    return path.join(this.records.directory(tenant, id), EVENTS_FILE);
  }
}

function withoutTenant<Job extends JobRecord>({ tenant: _, ...job }: Stored<Job>): Job {
  return job as unknown as Job;
}

/** The line's end comes first, so that half a line before it spoils itself only. */
function lineOf(event: JobEvent): string {
  return `\n${JSON.stringify(event)}`;
}
