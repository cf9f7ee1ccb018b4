import type { FastifyPluginAsync } from 'fastify';

import type { Engine } from '../../engine/engine.js';
import { ApiError } from '../errors.js';
import type { Drain } from '../http/plugins/drain.js';
import { errorResponses } from '../schema/error.js';
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
const liveSchema = { summary: 'Whether the process answers', tags, response: { 200: Alive } };
const readySchema = { summary: 'Whether it takes requests', tags, response: { 200: Readiness, ...errorResponses } };

/**
 * Routes of `/livez` (the process answers) and `/readyz` (it accepts requests). Without its store a server is
 * degraded but stays ready, since it still serves the base model and prefixes in memory: taking out all replicas at
 * once would be worse.
 */
const healthRoutes: FastifyPluginAsync<HealthDeps> = async (app, { drain, engine, storeReady }) => {
  app.get('/livez', { logLevel, schema: liveSchema }, () => ({ status: 'ok' }));
  app.get('/readyz', { logLevel, schema: readySchema }, async () => {
    if (drain.leaving) throw new ApiError('server_draining', 'The server is shutting down.');
    if (!engine.healthy) throw new ApiError('server_not_ready', 'The model fails at present.');
    return (await storeReady()) ? { status: 'ok' } : { status: 'degraded', degraded: ['store'] };
  });
};

export default healthRoutes;
