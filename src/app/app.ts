import type { LineFailure } from '../batches/line-result.js';
import { bundledPrefixes, consoleDirectory } from '../config/paths.js';
import type { Config } from '../config/variables.js';
import { Drafting } from '../engine/drafting/drafting.js';
import { NgramDrafter } from '../engine/drafting/ngram-drafter.js';
import { Engine } from '../engine/engine.js';
import type { EngineObserver } from '../engine/observer.js';
import type { JobObserver } from '../jobs/job-worker.js';
import { EngineFeed } from '../metrics/feed/engine-feed.js';
import { Metrics } from '../metrics/metrics.js';
import type { Model } from '../model/model.js';
import { openBatches } from './open/batches.js';
import { openFiles } from './open/files.js';
import { openFineTuning } from './open/fine-tuning.js';
import { openServedModel, openServedTokenizer } from './open/model.js';
import { openStore } from './open/store.js';
import { openTenancy } from './open/tenancy.js';
import { openTracing } from './open/tracing.js';
import type { PrefixStore } from '../prefix/store.js';
import { PrefixLibrary } from '../prefix/library.js';
import { seededTenants, seedWherePossible } from './seed.js';
import { storeLog } from './store-log.js';
import type { StoreError } from '../lib/store-error.js';
import { failureOf } from '../lib/store-health.js';
import { loggedError } from '../logging/logged-error.js';
import { toApiError } from '../server/errors.js';
import type { Server } from '../server/server.js';
import { TemplateSandbox } from '../tokenizer/template-sandbox.js';
import type { ModelTokenizer } from '../tokenizer/token-encoder.js';
import type { Tracing } from '../tracing/tracing.js';

/** Everything that serves, wired together and ready to listen. */
export interface App {
  readonly model: Model;
  readonly tokenizer: ModelTokenizer;
  readonly engine: Engine;
  readonly server: Server;
  /** Interrupts the jobs and batches that this process does, within half a minute. */
  stopJobs(): Promise<void>;
  /** Stops listening, waits for running requests and releases everything. */
  close(): Promise<void>;
}

export interface AppOptions {
  /** Called while the model is compiled, with bytes. */
  readonly onProgress?: (written: number, total: number) => void;
}

/** Opens the model and builds everything on it. */
export async function createApp(config: Config, { onProgress }: AppOptions = {}): Promise<App> {
  const { tokenizer, chatTemplate, specialTokens } = await openServedTokenizer(config);
  const templates = new TemplateSandbox(specialTokens);
  // The model opens on another thread; meanwhile this one loads the server's modules.
  const [model, { buildServer }] = await Promise.all([
    openServedModel(config, onProgress),
    import('../server/server.js'),
  ]);
  const release: (() => void)[] = [];
  try {
    const { base, generation } = model;
    const opened = await openStore(config.store, base.fingerprint, config);
    const { store, connection, health, ready: storeReady, close: closeStore } = opened;
    release.push(closeStore);
    const metrics: Metrics = new Metrics({
      modelName: base.id,
      contextLength: base.contextLength,
      engine: () => engine.stats(),
      cachedBytes: () => library.cachedBytes,
    });
    const library: PrefixLibrary = createLibrary(config, model, store, metrics);
    const engine = createEngine(config, model, tokenizer, metrics);
    const tenancy = await openTenancy(config, connection);
    const openedFiles = await openFiles(config, connection);
    const tuning = await openFineTuning(config, {
      ...openedFiles,
      base,
      library,
      tenancy: tenancy.tenancy,
      connection,
    });
    const batching = await openBatches(config, { ...openedFiles, fingerprint: base.fingerprint, connection });
    const tracing = await openTracing(config, {
      modelName: base.id,
      onFailure: (err) => server.app.log.warn({ err }, 'traces could not be sent'),
    });
    const deps = {
      config,
      engine,
      tokenizer,
      chatTemplate,
      templates,
      library,
      base,
      generation,
      metrics,
      engineFeed: new EngineFeed({
        engine,
        counts: () => metrics.counts(),
        prefixCacheBytes: () => library.cachedBytes,
      }),
      consoleDirectory: config.console === 'on' ? consoleDirectory : undefined,
      observeVersion: (id: string) => metrics.versionSequence(id),
      tracing,
      storeReady,
      storeFailed: (error: StoreError) => health.failed(failureOf(error)),
      files: openedFiles.files,
      fineTuning: tuning.fineTuning,
      batches: batching.batches,
      now: Date.now,
    };
    const server: Server = await buildServer({ ...deps, ...tenancy });
    health.observe(storeLog(server.app.log));
    const seeding = { bundled: bundledPrefixes, library, marker: opened.seeded };
    await seedWherePossible(seededTenants(config), seeding, server.app.log);
    await tuning.start(jobObserver(metrics, server));
    await batching.start({
      run: {
        ...deps,
        ...tenancy,
        maxChoices: config.maxChoices,
        failureOf: (error) => failureOfLine(error, server),
        onResult: (list) => metrics.batchRequestEnded(list),
      },
      observer: batchObserver(metrics, server),
      onEnd: (outcome) => metrics.batchEnded(outcome),
    });
    const stopJobs = async (): Promise<void> => {
      await Promise.all([tuning.close(), batching.close()]);
    };
    const stop = async (): Promise<void> => {
      await Promise.all([server.app.close(), stopJobs()]);
      await templates.dispose();
      closeStore();
    };
    return {
      model,
      tokenizer,
      engine,
      server,
      stopJobs,
      close: () => close(stop, engine, model, tracing),
    };
  } catch (error) {
    for (const close of release) close();
    await model.dispose();
    throw error;
  }
}

function createEngine(
  config: Config,
  { runner, eosTokenIds }: Model,
  tokenizer: ModelTokenizer,
  observer: EngineObserver,
): Engine {
  const { maxChunkTokens, maxWaitingRequests, maxWaitingTokens, promptCacheBytes, speculate, draftTableBytes } = config;
  return new Engine({
    runner,
    tokenizer,
    eosTokenIds,
    observer,
    drafting: speculate === 'on' ? new Drafting(new NgramDrafter(draftTableBytes), runner) : undefined,
    limits: {
      maxChunkTokens,
      maxLoneChunkTokens: 2 * maxChunkTokens,
      maxWaitingRequests,
      maxWaitingTokens,
      promptCacheBytes,
    },
  });
}

function createLibrary(config: Config, model: Model, store: PrefixStore, observer: Metrics): PrefixLibrary {
  const { base, encoder } = model;
  const { prefixCacheBytes: cacheBytes, maxVirtualTokens: maxLength, maxColdLoads } = config;
  return new PrefixLibrary({ store, base, encoder, cacheBytes, maxLength, maxColdLoads, observer });
}

function jobObserver(metrics: Metrics, { app }: Server): JobObserver {
  return {
    jobStarted: () => metrics.jobStarted(),
    jobEnded: (end) => metrics.jobEnded(end),
    jobBroke: (job, error) => app.log.error({ job, ...loggedError(error) }, 'a fine-tuning job failed'),
  };
}

function batchObserver(metrics: Metrics, { app }: Server): JobObserver {
  return {
    jobStarted: () => metrics.batchStarted(),
    jobEnded: (end) => {
      metrics.batchLeft();
      if (end !== 'succeeded') metrics.batchEnded(end); // the others have told how they ended
    },
    jobBroke: (batch, error) => app.log.error({ batch, ...loggedError(error) }, 'a batch failed'),
  };
}

/** How the server would answer a request of a batch; the log has what is the server's fault. */
function failureOfLine(thrown: unknown, { app }: Server): LineFailure {
  const error = toApiError(thrown);
  if (error.status >= 500) app.log.error(loggedError(error), 'a request of a batch failed');
  return { status: error.status, body: error.toEnvelope() };
}

async function close(
  stop: () => Promise<void>,
  engine: Engine,
  model: Model,
  tracing: Tracing | undefined,
): Promise<void> {
  await stop();
  await engine.drain();
  await Promise.all([model.dispose(), tracing?.close()]);
}
