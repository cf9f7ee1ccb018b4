import type { Writable } from 'node:stream';

import pino, { type Logger } from 'pino';

import { ConfigError } from '../config/error.js';
import type { Settings } from '../config/variables.js';
import type { JobObserver } from '../jobs/job-worker.js';
import { openFiles } from './open/files.js';
import { openFineTuning } from './open/fine-tuning.js';
import { openServedModel } from './open/model.js';
import { describeStore, openStore } from './open/store.js';
import { openTenancy } from './open/tenancy.js';
import { PrefixLibrary } from '../prefix/library.js';
import { printModelWarnings } from './model-warnings.js';
import { compileProgress } from './compile-progress.js';
import { loggedError } from '../logging/logged-error.js';
import { loggerOptions } from '../logging/logger.js';
import { outliveOutputs } from './outputs.js';
import { firstSignal } from './signals.js';
import { storeLog } from './store-log.js';

interface Output {
  readonly stdout: Pick<Writable, 'write'>;
  readonly stderr: Pick<Writable, 'write'>;
}

/** Groups of settings that a worker reads. */
export type WorkerSettings = Settings<'model' | 'store' | 'storeTls' | 'tenants' | 'tuning' | 'log'>;

/**
 * Trains the jobs of a Redis until SIGTERM or SIGINT, without serving. At the signal, a running job stops after its step and goes back to
 * the queue. A second signal ends the process at once.
 * @throws ConfigError for a store that no other process can put jobs into
 */
export async function work(config: WorkerSettings, { stdout, stderr }: Output): Promise<void> {
  if (config.store.kind === 'file') throw new ConfigError('PREAMBLE_STORE', 'a worker takes its jobs from a Redis');
  if (config.tuningWorkers === 0) throw new ConfigError('PREAMBLE_TUNING_WORKERS', 'a worker trains at least one job');
  outliveOutputs();
  // One slot: a soft prompt runs through the model when it is stored.
  const model = await openServedModel({ ...config, slots: 1 }, compileProgress(stderr));
  printModelWarnings(stderr, model.warnings);
  const close: (() => void | Promise<void>)[] = [() => model.dispose()];
  try {
    const { base, encoder } = model;
    const opened = await openStore(config.store, base.fingerprint, config);
    const { store, connection, health, close: closeStore } = opened;
    close.unshift(closeStore);
    const { tenancy } = await openTenancy(config, connection);
    const { maxVirtualTokens: maxLength } = config;
    const library = new PrefixLibrary({ store, base, encoder, cacheBytes: 0, maxLength });
    const files = await openFiles(config, connection);
    const tuning = await openFineTuning(config, { ...files, base, library, tenancy, connection });
    close.unshift(() => tuning.close());
    const log = openLog(config);
    health.observe(storeLog(log));
    await tuning.start(jobLog(log));
    const signal = firstSignal(); // before the banner: its reader may send a signal at once
    stdout.write(`Preamble trains prefixes of ${base.id}, with jobs from ${describeStore(config.store)}\n`);
    await signal;
    stderr.write('stopping after the step under way; the job goes back to the queue\n');
  } finally {
    for (const each of close) await each();
  }
}

function openLog({ logLevel }: Settings<'log'>): Logger {
  const { stream, ...options } = loggerOptions(logLevel);
  return pino(options, stream);
}

function jobLog(log: Logger): JobObserver {
  return {
    jobStarted: () => log.info('a fine-tuning job has begun'),
    jobEnded: (end) => log.info({ end }, 'a fine-tuning job has ended'),
    jobBroke: (job, error) => log.error({ job, ...loggedError(error) }, 'a fine-tuning job failed'),
  };
}
