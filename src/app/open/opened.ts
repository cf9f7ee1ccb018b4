import type { JobRecord } from '../../jobs/job.js';
import type { JobQueue } from '../../jobs/job-queue.js';
import type { JobResultStore } from '../../jobs/job-results.js';
import type { JobStore } from '../../jobs/job-store.js';
import type { StoreHealth } from '../../lib/store-health.js';
import type { PrefixArchive } from '../../prefix/copy.js';
import type { PrefixStore } from '../../prefix/store.js';
import type { RedisConnection } from '../../redis/connection.js';
import type { RateLimiter } from '../../tenancy/rate-limiter.js';
import type { TenancyStore } from '../../tenancy/store.js';
import type { SeedMarker } from '../seed.js';

/** The store of prefixes, opened for one base model. */
export interface OpenedStore {
  readonly store: PrefixStore;
  readonly seeded: SeedMarker;
  /** Connection to a store on Redis, which holds tenants, keys and rates too; undefined on disk. */
  readonly connection?: RedisConnection;
  /** Whether the store fails. Its own failures it notes by itself; those of a directory its users report. */
  readonly health: StoreHealth;
  /** Whether the store answers and takes writes. */
  readonly ready: () => Promise<boolean>;
  readonly close: () => void;
}

/** All prefixes of a store, for all base models and tenants. */
export interface OpenedArchive {
  readonly archive: PrefixArchive;
  readonly close: () => void;
}

/** The store of tenants and keys, and the counter of their requests. */
export interface OpenedTenancyStore {
  readonly store: TenancyStore;
  readonly limiter: RateLimiter;
}

/** The stores of the jobs of one kind and of their results, and the queue that brings jobs to workers. */
export interface JobStores<Job extends JobRecord> {
  readonly jobs: JobStore<Job>;
  readonly results: JobResultStore;
  readonly queue: JobQueue;
}

/** The jobs of one kind. */
export interface OpenJobs<Job extends JobRecord> extends JobStores<Job> {
  /** Where jobs have their files while they run, a directory for each. */
  readonly directory: string;
}
