import { createRequire } from 'node:module';

import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify';

import type { Engine } from '../engine/engine.js';
import type { BatchDeps } from './batch/batch.js';
import { handleClientError } from './client-error.js';
import { loggerOptions, type LogStream } from './logger.js';
import accessLog from './plugins/access-log.js';
import auth, { type ApiKey } from './plugins/auth.js';
import drainPlugin, { Drain } from './plugins/drain.js';
import errorHandler, { sendError } from './plugins/error-handler.js';
import openapi from './plugins/openapi.js';
import requestIdPlugin, { requestId } from './plugins/request-id.js';
import tenant from './plugins/tenant.js';
import batchRoutes from './routes/batch.js';
import completionRoutes from './routes/completions.js';
import healthRoutes from './routes/health.js';
import modelRoutes, { type ModelDeps } from './routes/models.js';
import prefixRoutes, { type PrefixDeps } from './routes/prefixes.js';
import { ajvOptions } from './validation.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** The server's own settings. */
export interface ServerConfig {
  /** Empty: no keys are asked for. */
  readonly apiKeys: readonly ApiKey[];
  /** Pino's. */
  readonly logLevel: string;
  readonly maxBodyBytes: number;
  readonly maxUploadBytes: number;
  readonly maxBatchItems: number;
  readonly maxChoices: number;
}

/** What the server is built from. */
export interface ServerDeps extends Omit<BatchDeps, 'maxChoices' | 'maxBatchItems'>, Omit<ModelDeps, 'created'> {
  readonly engine: Pick<Engine, 'submit' | 'healthy'>;
  readonly library: BatchDeps['library'] & ModelDeps['library'] & PrefixDeps['library'];
  readonly config: ServerConfig;
  /** Where log lines go; standard error unless given. */
  readonly logStream?: LogStream;
}

/** The HTTP server, not listening yet. */
export interface Server {
  readonly app: FastifyInstance;
  /** Turns new requests away; settles when the accepted ones are answered. */
  drain(): Promise<void>;
}

/** Builds the server: every plugin and route, ready for `listen` or `inject`. */
export async function buildServer(deps: ServerDeps): Promise<Server> {
  const { config } = deps;
  const drain = new Drain();
  const app = Fastify(fastifyOptions(deps)).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser('text/plain');
  await app.register(requestIdPlugin);
  await app.register(tenant);
  await app.register(accessLog);
  await app.register(errorHandler);
  await app.register(openapi, { version, needsKey: config.apiKeys.length > 0 });
  await app.register(healthRoutes, { drain, engine: deps.engine });
  await app.register(apiRoutes, { prefix: '/v1', deps, drain });
  await app.ready();
  return { app, drain: () => drain.start() };
}

async function apiRoutes(app: FastifyInstance, { deps, drain }: { deps: ServerDeps; drain: Drain }): Promise<void> {
  const { maxChoices, maxBatchItems, maxUploadBytes, apiKeys } = deps.config;
  await app.register(drainPlugin, { drain });
  await app.register(auth, { keys: apiKeys });
  await app.register(completionRoutes, { ...deps, maxChoices });
  await app.register(batchRoutes, { ...deps, maxChoices, maxBatchItems });
  await app.register(modelRoutes, { ...deps, created: Math.floor(deps.now() / 1000) });
  await app.register(prefixRoutes, { ...deps, maxUploadBytes });
}

function fastifyOptions({ config, logStream }: ServerDeps): FastifyServerOptions {
  return {
    logger: loggerOptions(config.logLevel, logStream),
    // The access log says it once, and without the URL.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    bodyLimit: config.maxBodyBytes,
    requestIdHeader: false,
    genReqId: ({ headers }) => requestId(headers),
    ajv: ajvOptions,
    // A name of 128 characters is up to 384 when it is percent-encoded, and a version may follow.
    routerOptions: { maxParamLength: 1024 },
    // While it drains, the server answers 503 itself.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      reply.header('x-request-id', request.id);
      sendError(error, request, reply);
    },
    clientErrorHandler: handleClientError,
  };
}
