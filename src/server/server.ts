import { createRequire } from 'node:module';

import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { LogController, type FastifyHttpOptions, type FastifyInstance, type RawServerDefault } from 'fastify';

import type { ChatDeps } from '../completions/chat/chat.js';
import type { ManyDeps } from '../completions/many.js';
import type { Engine } from '../engine/engine.js';
import type { StoreError } from '../lib/store-error.js';
import type { Tenancy } from '../tenancy/tenancy.js';
import { handleClientError } from './http/client-error.js';
import { loggerOptions, type LogStream } from '../logging/logger.js';
import accessLog, { logRequest } from './http/plugins/access-log.js';
import adminAuth from './http/plugins/admin-auth.js';
import auth, { type AuthOptions } from './http/plugins/auth.js';
import cors from './http/plugins/cors.js';
import contentEncoding from './http/body/content-encoding.js';
import drainPlugin, { Drain } from './http/plugins/drain.js';
import errorHandler, { sendError } from './http/plugins/error-handler.js';
import hostCheck from './http/plugins/host-check.js';
import { MAX_FILE_FORMS, MAX_FORMS } from './http/body/forms.js';
import methods from './http/plugins/methods.js';
import metricsPlugin, { type ServerMetrics } from './http/plugins/metrics.js';
import jsonBody from './http/body/json-body.js';
import oneAtATime from './http/plugins/one-at-a-time.js';
import openapi from './http/plugins/openapi.js';
import originCheck from './http/plugins/origin-check.js';
import requestIdPlugin, { requestId } from './http/plugins/request-id.js';
import tenant from './http/plugins/tenant.js';
import tracing, { type ServerTracing } from './http/plugins/tracing.js';
import unreadBody from './http/body/unread-body.js';
import batchRoutes, { type BatchDeps } from './batches/routes.js';
import adminKeyRoutes, { type AdminKeyDeps } from './admin/key-routes.js';
import adminTenantRoutes, { type AdminTenantDeps } from './admin/tenant-routes.js';
import chatRoutes from './completions/chat-routes.js';
import completionRoutes from './completions/routes.js';
import consoleRoutes from './console/routes.js';
import engineRoutes, { type EngineRouteDeps } from './engine/routes.js';
import fileRoutes, { type FileDeps } from './files/routes.js';
import fineTuningRoutes, { type FineTuningRouteDeps } from './fine-tuning/routes.js';
import healthRoutes from './health/routes.js';
import meRoutes from './me/routes.js';
import modelRoutes, { type ModelDeps } from './models/routes.js';
import grantRoutes, { type GrantDeps } from './prefixes/grant-routes.js';
import prefixRoutes, { type PrefixDeps } from './prefixes/routes.js';
import shareRoutes, { type ShareDeps } from './prefixes/share-routes.js';
import { hangUpOnStalled } from './http/stalled-answers.js';
import { TenantSemaphore } from './http/body/tenant-semaphore.js';
import { schemaCompilers } from './http/schema-compilers.js';
import { ajvOptions } from './http/validation.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** The server's own settings. */
interface ServerConfig {
  /** The operator's key; undefined: there are no admin routes. */
  readonly adminKey?: string | undefined;
  /** Hosts beside this machine that a server without keys answers to, lower-cased. */
  readonly allowedHosts: readonly string[];
  /** Origins whose web pages may use the server; `*` is every one. */
  readonly allowedOrigins: readonly string[];
  /** Level of pino's log. */
  readonly logLevel: string;
  readonly maxBodyBytes: number;
  readonly maxUploadBytes: number;
  readonly maxTrainingFileBytes: number;
  readonly maxBatchFileBytes: number;
  readonly maxBatchItems: number;
  readonly maxChoices: number;
  /** How long a client may take to send the headers of a request. */
  readonly headersTimeoutSeconds: number;
  /** How long a client may take to send a whole request. */
  readonly requestTimeoutSeconds: number;
  /** How long a connection without a request stays open. */
  readonly keepAliveSeconds: number;
}

/** Parts that the server is built from. */
export interface ServerDeps
  extends Omit<ManyDeps, 'maxChoices' | 'maxRequests'>, Pick<ChatDeps, 'chatTemplate'>, Omit<ModelDeps, 'created'> {
  readonly engine: ManyDeps['engine'] & Pick<Engine, 'healthy'>;
  /** Undefined: there are no routes for files and fine-tuning. */
  readonly fineTuning?: (FineTuningRouteDeps['fineTuning'] & AdminTenantDeps['fineTuning']) | undefined;
  /** Undefined: there are no routes for batches. */
  readonly batches?: (BatchDeps['batches'] & AdminTenantDeps['batches']) | undefined;
  readonly files?: (FileDeps['files'] & AdminTenantDeps['files']) | undefined;
  readonly library: ManyDeps['library'] &
    ModelDeps['library'] &
    PrefixDeps['library'] &
    ShareDeps['library'] &
    GrantDeps['library'] &
    FineTuningRouteDeps['library'] &
    AdminTenantDeps['library'];
  readonly tenancy: Pick<Tenancy, 'needsKey'> &
    AuthOptions['tenancy'] &
    AdminKeyDeps['tenancy'] &
    AdminTenantDeps['tenancy'];
  /** Renders with the chat templates of prefixes, and tries those that are uploaded. */
  readonly templates: ChatDeps['templates'] & PrefixDeps['templates'];
  readonly config: ServerConfig;
  readonly metrics: ServerMetrics;
  readonly engineFeed: EngineRouteDeps['engineFeed'];
  /** Where the build has written the console's files; undefined: there is no console. */
  readonly consoleDirectory?: string | undefined;
  /** Undefined: requests are not traced. */
  readonly tracing?: ServerTracing | undefined;
  /** Whether the store answers and takes writes; unless given, it always does. */
  readonly storeReady?: () => Promise<boolean>;
  /** Hears of each answer that a store prevents. */
  readonly storeFailed?: (error: StoreError) => void;
  /** Where log lines go; standard error unless given. */
  readonly logStream?: LogStream;
}

/** The HTTP server, not listening yet. */
export interface Server {
  readonly app: FastifyInstance;
  /** From now on `/readyz` is 503 and answers close their connections; requests are still accepted. */
  announceLeaving(): void;
  /** Turns new requests away; settles when the accepted ones are answered. */
  drain(): Promise<void>;
}

/** Builds the server: every plugin and route, ready for `listen` or `inject`. */
export async function buildServer(deps: ServerDeps): Promise<Server> {
  const { config } = deps;
  const { needsKey } = deps.tenancy;
  const drain = new Drain();
  const app = Fastify(fastifyOptions(deps)).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser('text/plain');
  app.server.headersTimeout = config.headersTimeoutSeconds * 1000;
  hangUpOnStalled(app.server);
  await app.register(oneAtATime);
  await app.register(contentEncoding);
  await app.register(jsonBody);
  await app.register(requestIdPlugin);
  await app.register(tenant);
  await app.register(accessLog);
  await app.register(unreadBody);
  const { engine, storeReady = () => Promise.resolve(true), storeFailed = () => undefined } = deps;
  await app.register(errorHandler, { storeFailed });
  // With keys, a web page without one can do nothing.
  if (!needsKey) await app.register(hostCheck, { allowed: config.allowedHosts });
  await app.register(cors, { allowed: config.allowedOrigins });
  if (!needsKey) await app.register(originCheck, { allowed: config.allowedOrigins });
  await app.register(methods);
  await app.register(openapi, { version, needsKey, hasAdmin: config.adminKey !== undefined });
  await app.register(metricsPlugin, { metrics: deps.metrics });
  await app.register(healthRoutes, { drain, engine, storeReady });
  const { consoleDirectory: directory } = deps;
  if (directory !== undefined) await app.register(consoleRoutes, { directory });
  await app.register(apiRoutes, { prefix: '/v1', deps, drain });
  // Without an operator's key, a server without keys has those of the operator's routes that need none.
  if (config.adminKey !== undefined || !needsKey) await app.register(adminRoutes, { prefix: '/v1/admin', deps, drain });
  await app.ready();
  return { app, announceLeaving: () => drain.announce(), drain: () => drain.start() };
}

interface ScopeOptions {
  readonly deps: ServerDeps;
  readonly drain: Drain;
}

async function apiRoutes(app: FastifyInstance, { deps, drain }: ScopeOptions): Promise<void> {
  const { maxChoices, maxBatchItems, maxUploadBytes, maxTrainingFileBytes, maxBatchFileBytes } = deps.config;
  const formPermits = new TenantSemaphore(MAX_FORMS);
  await app.register(tracing, { tracing: deps.tracing });
  await app.register(drainPlugin, { drain });
  await app.register(auth, { tenancy: deps.tenancy });
  await app.register(completionRoutes, { ...deps, maxChoices, maxRequests: maxBatchItems });
  await app.register(chatRoutes, { ...deps, maxChoices });
  const abilities = {
    base: deps.base,
    needsKey: deps.tenancy.needsKey,
    chat: deps.chatTemplate !== undefined && deps.generation === undefined,
    text: deps.tokenizer.textProblem === undefined,
    fineTuning: deps.fineTuning !== undefined,
  };
  await app.register(meRoutes, { ...deps, abilities });
  await app.register(modelRoutes, { ...deps, created: Math.floor(deps.now() / 1000) });
  await app.register(prefixRoutes, { ...deps, maxUploadBytes, formPermits });
  await app.register(shareRoutes, deps);
  await app.register(grantRoutes, deps);
  const { files, fineTuning, batches } = deps;
  if (files !== undefined)
    await app.register(fileRoutes, {
      files,
      maxTrainingFileBytes,
      maxBatchFileBytes,
      formPermits: new TenantSemaphore(MAX_FILE_FORMS),
    });
  if (fineTuning !== undefined) await app.register(fineTuningRoutes, { ...deps, fineTuning });
  if (batches !== undefined) await app.register(batchRoutes, { ...deps, batches });
}

/** The operator's routes. Not in `apiRoutes`, because the operator's key is no tenant's. */
async function adminRoutes(app: FastifyInstance, { deps, drain }: ScopeOptions): Promise<void> {
  const { adminKey: key } = deps.config;
  const hasKey = key !== undefined;
  await app.register(tracing, { tracing: deps.tracing });
  await app.register(drainPlugin, { drain });
  if (hasKey) await app.register(adminAuth, { key });
  await app.register(engineRoutes, { ...deps, drain, hasKey });
  if (!hasKey) return;
  await app.register(adminTenantRoutes, deps);
  await app.register(adminKeyRoutes, deps);
}

function fastifyOptions({ config, logStream }: ServerDeps): FastifyHttpOptions<RawServerDefault> {
  return {
    logger: loggerOptions(config.logLevel, logStream),
    // Fastify's own request log is off: the access log has one line for each request, without the URL.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    bodyLimit: config.maxBodyBytes,
    requestTimeout: config.requestTimeoutSeconds * 1000,
    keepAliveTimeout: config.keepAliveSeconds * 1000,
    // Interval at which Node looks for requests that have timed out.
    http: { connectionsCheckingInterval: 1000 },
    requestIdHeader: false,
    genReqId: ({ headers }) => requestId(headers),
    ajv: ajvOptions,
    schemaController: { compilersFactory: schemaCompilers },
    // A name of 128 characters is up to 384 when it is percent-encoded, and a version may follow.
    routerOptions: { maxParamLength: 1024 },
    // The server itself answers 503 while it drains.
    return503OnClosing: false,
    // A request that fails before routing runs no hooks.
    frameworkErrors: (error, request, reply) => {
      request.tenant = '';
      logRequest(request, reply);
      reply.header('x-request-id', request.id);
      sendError(error, request, reply);
    },
    clientErrorHandler: handleClientError,
  };
}
