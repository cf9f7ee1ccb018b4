import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, onTestFinished } from 'vitest';

import { createApp, type App } from '../../src/app/app.js';
import { defaultConfig } from '../../src/config/config.js';
import { bundledPrefixes } from '../../src/config/paths.js';
import type { Config } from '../../src/config/variables.js';
import { listen } from '../server/harness.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { encodeForm, send } from './http.js';
import { testModelCache } from './program.js';

/** A server and where it listens. */
export interface RealServer extends App {
  readonly url: string;
}

/** The whole program in this process: the demo model, the real engine, a store of its own. Closed when the test is over. */
export async function realServer(overrides: Partial<Config> = {}): Promise<RealServer> {
  const app = await createApp({
    ...defaultConfig(),
    slots: 4,
    threads: 2,
    logLevel: 'silent',
    tuningNice: 0, // the machine is busy with other tests
    cache: testModelCache,
    store: { kind: 'file', directory: await temporaryDirectory() },
    ...overrides,
  });
  onTestFinished(async () => {
    app.server.app.server.closeAllConnections();
    await app.close();
    app.engine.checkIntegrity();
  });
  return { ...app, url: await listen(app.server.app) };
}

/** Uploads one of the bundled prefixes, as `npm start` has them or under another name: a test's store is empty. */
export async function uploadBundled(url: string, name: string, key = 'none', as = name): Promise<void> {
  const read = async (file: string): Promise<Uint8Array<ArrayBuffer>> =>
    new Uint8Array(await readFile(join(bundledPrefixes, name, file)));
  const { body, headers } = await encodeForm({
    name: as,
    adapter_config: [await read('adapter_config.json'), 'adapter_config.json'],
    adapter_model: [await read('adapter_model.safetensors'), 'adapter_model.safetensors'],
  });
  const call = { method: 'POST', path: '/v1/prefixes', headers: { ...headers, authorization: `Bearer ${key}` }, body };
  expect((await send(url, call)).status).toBe(201);
}
