import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, onTestFinished } from 'vitest';

import type { EngineSnapshot, EngineStats, SlotState } from '../../src/engine/observer.js';
import { defaultConfig } from '../../src/config/config.js';
import type { Config } from '../../src/config/variables.js';
import { EngineFeed } from '../../src/metrics/feed/engine-feed.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { openTenancy } from '../../src/app/open/tenancy.js';
import type { BaseModel } from '../../src/prefix/kv.js';
import { TemplateSandbox } from '../../src/tokenizer/template-sandbox.js';
import type { Choice, Usage } from '../../src/completions/answer/schema.js';
import type { ErrorEnvelope } from '../../src/server/schema/error.js';
import { buildServer, type Server, type ServerDeps } from '../../src/server/server.js';
import { byteTokenizer, ScriptedEngine } from './scripted-engine.js';

const scratch = mkdtempSync(join(tmpdir(), 'preamble-harness-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** The frozen model of these tests: its virtual tokens have the 4 numbers that the engine's fake runner wants. */
export const base: BaseModel = {
  id: 'tiny',
  fingerprint: 'f'.repeat(64),
  sites: [{ name: 'self', layers: 1, kvHeads: 1, headDim: 2 }],
  width: 2,
  contextLength: 64,
  vocabularySize: 256,
};

/** What tests look at in an answer, whichever route it is of: a field that it does not have is undefined. */
export interface Body {
  readonly object: string;
  readonly choices: Choice[];
  readonly usage: Usage;
  readonly error: ErrorEnvelope['error'];
  readonly version: string;
  readonly versions: { readonly version: string }[];
  readonly data: {
    readonly custom_id: string;
    readonly response: { readonly status_code: number; readonly body: Body };
  }[];
}

export interface TestServer extends Server {
  readonly engine: ScriptedEngine;
  /** Everything logged so far. */
  readonly log: () => string;
}

/** A server on a scripted engine, closed when the test is over. */
export async function testServer(overrides: Partial<Config> = {}, deps: Partial<ServerDeps> = {}): Promise<TestServer> {
  const server = await openServer(overrides, deps);
  onTestFinished(() => closeServer(server));
  return server;
}

/** One server for all tests of the suite that this is called in. */
export function sharedServer(overrides: Partial<Config> = {}): () => TestServer {
  let server: TestServer | undefined;
  beforeAll(async () => {
    server = await openServer(overrides);
  });
  afterAll(() => server && closeServer(server));
  return () => server as TestServer;
}

async function closeServer({ app }: TestServer): Promise<void> {
  app.server.closeAllConnections();
  await app.close();
}

async function openServer(overrides: Partial<Config> = {}, deps: Partial<ServerDeps> = {}): Promise<TestServer> {
  const engine = new ScriptedEngine();
  const lines: string[] = [];
  const config = {
    ...defaultConfig(),
    store: { kind: 'file' as const, directory: newDirectory() },
    logLevel: 'trace' as const,
    ...overrides,
  };
  const metrics = testMetrics();
  const server = await buildServer({
    engine,
    tokenizer: byteTokenizer,
    templates: new TemplateSandbox({ bos_token: '<s>' }),
    base,
    library: {} as never,
    ...(await openTenancy(config, undefined)),
    config,
    metrics,
    engineFeed: new EngineFeed({ engine: restingEngine, counts: () => metrics.counts(), prefixCacheBytes: () => 512 }),
    now: () => 1_700_000_000_123,
    logStream: {
      write: (line: string) => {
        lines.push(line);
        return true;
      },
    },
    ...deps,
  });
  return { ...server, engine, log: () => lines.join('') };
}

const rest: EngineStats = {
  waiting: 0,
  waitingTokens: 0,
  running: 0,
  slots: 4,
  kvUsage: 0,
  promptCacheBytes: 0,
  draftTableBytes: 0,
  runningPrefixes: [],
  waitingPrefixes: [],
};

/** What the routes of the engine show here, where the engine is scripted: one at rest. */
const restingEngine = {
  snapshot: (): EngineSnapshot => ({
    ...rest,
    waitingByClass: { interactive: 0, background: 0 },
    slotStates: Array.from({ length: rest.slots }, (): SlotState => ({
      state: 'free',
      tenant: undefined,
      priority: undefined,
      positions: 0,
    })),
  }),
  watch: () => () => undefined,
};

/** The metrics of an engine that is in the state given, at rest unless given. */
export function testMetrics(state: Partial<EngineStats> = {}): Metrics {
  const engine = (): EngineStats => ({ ...rest, ...state });
  return new Metrics({ modelName: base.id, contextLength: base.contextLength, engine, cachedBytes: () => 512 });
}

/** A directory of a server's own, of which nothing is there until tenants or keys are made. */
function newDirectory(): string {
  return join(scratch, randomUUID());
}

/** Listens on a free port and returns the address. */
export async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

/** Posts JSON without a socket. */
export async function post(
  app: FastifyInstance,
  url: string,
  body: object | string,
  headers: Record<string, string> = {},
) {
  const response = await app.inject({
    method: 'POST',
    url,
    payload: body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: response.statusCode, headers: response.headers, body: parse(response.body), text: response.body };
}

/** The events of a stream; the last one, `[DONE]`, is checked and left out. */
export function eventsOf(text: string): Record<string, unknown>[] {
  const events = text.split('\n\n');
  if (events.pop() !== '' || events.pop() !== 'data: [DONE]')
    throw new Error(`the stream does not end as it should: ${text}`);
  return events.map((event) => JSON.parse(event.replace(/^data: /, '')) as Record<string, unknown>);
}

function parse(text: string): Body {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return {} as Body;
  }
}
