import type { FastifyPluginAsync } from 'fastify';
import type { Static } from 'typebox';

import type { Engine } from '../../engine/engine.js';
import { ApiError } from '../errors.js';
import type { Drain } from '../http/plugins/drain.js';
import { errorResponses } from '../schema/error.js';
import { needsNoKey } from '../schema/security.js';
import { Alive, Readiness } from './schema.js';

interface HealthDeps {
  readonly drain: Drain;
  readonly engine: Pick<Engine, 'healthy'>;
  /** Whether the store answers and takes writes. */
  readonly storeReady: () => Promise<boolean>;
}

// Probes come every few seconds, so only failures are logged.
const logLevel = 'warn';
const tags = ['health'];
const security = needsNoKey;
const liveSchema = {
  operationId: 'getLiveness',
  summary: 'Whether the process answers',
  tags,
  security,
  response: { 200: Alive, ...errorResponses },
};
const readySchema = {
  operationId: 'getReadiness',
  summary: 'Whether it takes requests',
  tags,
  security,
  response: { 200: Readiness, ...errorResponses },
};
const healthSchema = { ...readySchema, operationId: 'getHealth', description: 'As `/readyz`.' };

/**
 * Routes of `/livez` (the process answers), `/readyz` (it accepts requests) and `/health`, which vLLM's and TGI's clients ask for. Without its store a server is
 * degraded but stays ready, since it still serves the base model and prefixes in memory: taking out all replicas at
 * once would be worse.
 */
const healthRoutes: FastifyPluginAsync<HealthDeps> = async (app, { drain, engine, storeReady }) => {
  app.get('/livez', { logLevel, schema: liveSchema }, () => ({ status: 'ok' }));
  const readiness = async (): Promise<Static<typeof Readiness>> => {
    if (drain.leaving) throw new ApiError('server_draining', 'The server is shutting down.');
    if (!engine.healthy) throw new ApiError('server_not_ready', 'The model fails at present.');
    return (await storeReady()) ? { status: 'ok' } : { status: 'degraded', degraded: ['store'] };
  };
  app.get('/readyz', { logLevel, schema: readySchema }, readiness);
  app.get('/health', { logLevel, schema: healthSchema }, readiness);
};

export default healthRoutes;
