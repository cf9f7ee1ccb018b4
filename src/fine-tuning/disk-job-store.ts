import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists } from '../disk/durable.js';
import { DiskRecords } from '../files/disk-records.js';
import { type FineTuningJob, isUnfinished, type JobChange, type JobEvent, type JobRef, type JobStatus } from './job.js';
import { type JobStore, MAX_EVENTS, MAX_FINISHED_JOBS, tooManyJobs } from './job-store.js';
import { type Page, pageOf, type PageOptions } from '../lib/page.js';

const EVENTS_FILE = 'events.jsonl';

/** The tenant is kept in the record: a directory's name is only its key. */
interface JobRecord extends FineTuningJob {
  readonly tenant: string;
}

/** Jobs in the directory of an on-disk store; events are lines of a file beside the job. */
export class DiskJobStore implements JobStore {
  private constructor(
    private readonly records: DiskRecords<JobRecord>,
    private readonly maxFinished: number,
  ) {}

  /** @param maxFinished finished jobs that a tenant keeps */
  static async open(directory: string, maxFinished = MAX_FINISHED_JOBS): Promise<DiskJobStore> {
    return new DiskJobStore(await DiskRecords.open(directory, 'jobs'), maxFinished);
  }

  async add(tenant: string, job: FineTuningJob, maxUnfinished = Infinity): Promise<void> {
    await this.records.exclusively(tenant, async () => {
      const jobs = await this.records.all(tenant);
      const finished = jobs.filter((each) => !isUnfinished(each));
      const unfinished = jobs.length - finished.length;
      if (unfinished + 1 > maxUnfinished) throw tooManyJobs(unfinished, maxUnfinished);
      for (const { id } of finished.slice(this.maxFinished)) await this.records.remove(tenant, id);
      await this.records.add(tenant, { ...job, tenant });
    });
  }

  async get(tenant: string, id: string): Promise<FineTuningJob | undefined> {
    const record = await this.records.get(tenant, id);
    return record && withoutTenant(record);
  }

  async list(tenant: string, options: PageOptions): Promise<Page<FineTuningJob>> {
    const { data, hasMore } = pageOf(await this.records.all(tenant), options);
    return { data: data.map(withoutTenant), hasMore };
  }

  async change(
    tenant: string,
    id: string,
    from: readonly JobStatus[],
    change: JobChange,
  ): Promise<FineTuningJob | undefined> {
    return this.records.exclusively(tenant, async () => {
      const record = await this.records.get(tenant, id);
      if (record === undefined || !from.includes(record.status)) return undefined;
      const changed = { ...record, ...change };
      await this.records.replace(tenant, changed);
      return withoutTenant(changed);
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
      else await fs.writeFile(file, [...events.slice(-MAX_EVENTS), event].map(lineOf).join(''));
    });
  }

  async events(tenant: string, id: string, options: PageOptions): Promise<Page<JobEvent>> {
    if ((await this.records.get(tenant, id)) === undefined) return { data: [], hasMore: false };
    return pageOf((await this.#events(tenant, id)).slice(-MAX_EVENTS).reverse(), options);
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

function withoutTenant({ tenant: _, ...job }: JobRecord): FineTuningJob {
  return job;
}

/** The line's end comes first, so that half a line before it spoils itself only. */
function lineOf(event: JobEvent): string {
  return `\n${JSON.stringify(event)}`;
}
