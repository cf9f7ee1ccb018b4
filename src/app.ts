import { join } from 'node:path';

import { bundledModel, bundledPrefixes, defaultStoreDirectory, type Config } from './config.js';
import { Engine } from './engine/engine.js';
import { openModel, type Model } from './model/model.js';
import { FilePrefixStore } from './prefix/file-store.js';
import { PrefixLibrary } from './prefix/library.js';
import { seedPrefixes } from './seed.js';
import { DEFAULT_TENANT } from './server/plugins/auth.js';
import { buildServer, type Server } from './server/server.js';
import { Tokenizer } from './tokenizer/tokenizer.js';

/** Everything that serves, wired together and ready to listen. */
export interface App {
  readonly model: Model;
  readonly server: Server;
  /** Stops listening, waits for what runs and releases everything. */
  close(): Promise<void>;
}

export interface AppOptions {
  /** Told while the model is compiled. */
  readonly onProgress?: (written: number, total: number) => void;
}

/** Opens the model and builds everything on it. */
export async function createApp(config: Config, { onProgress }: AppOptions = {}): Promise<App> {
  const model = await openConfiguredModel(config, onProgress);
  try {
    const tokenizer = await Tokenizer.load(model.tokenizerDirectory);
    const engine = createEngine(config, model, tokenizer);
    const library = await openLibrary(config, model);
    const { base } = model;
    const server = await buildServer({ config, engine, tokenizer, library, base, now: Date.now });
    return { model, server, close: () => close(server, engine, model) };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

function openConfiguredModel(config: Config, onProgress: AppOptions['onProgress']): Promise<Model> {
  const { model: source, modelName: id, cache, slots, threads, provider } = config;
  return openModel({ source, cache, slots, threads, provider, ...(id && { id }), ...(onProgress && { onProgress }) });
}

function createEngine(config: Config, { runner, eosTokenIds }: Model, tokenizer: Tokenizer): Engine {
  const { maxChunkTokens, maxWaitingRequests, maxWaitingTokens } = config;
  return new Engine({
    runner,
    tokenizer,
    eosTokenIds,
    limits: { maxChunkTokens, maxWaitingRequests, maxWaitingTokens },
  });
}

async function openLibrary(config: Config, { base, encoder }: Model): Promise<PrefixLibrary> {
  const { directory } = config.store;
  const store = await FilePrefixStore.open(directory, base.fingerprint);
  const { prefixCacheBytes: cacheBytes, maxVirtualTokens: maxLength } = config;
  const library = new PrefixLibrary({ store, base, encoder, cacheBytes, maxLength });
  if (directory === defaultStoreDirectory && config.model === bundledModel) {
    const marker = join(directory, `.bundled-${base.fingerprint.slice(0, 16)}`);
    await seedPrefixes({ bundled: bundledPrefixes, library, tenant: DEFAULT_TENANT, marker });
  }
  return library;
}

async function close({ app }: Server, engine: Engine, model: Model): Promise<void> {
  await app.close();
  await engine.drain();
  await model.dispose();
}
