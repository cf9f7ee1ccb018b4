import type { FastifyPluginAsync } from 'fastify';

import type { Engine } from '../../engine/engine.js';
import { ApiError } from '../errors.js';
import type { Drain } from '../http/plugins/drain.js';
import { errorResponses } from '../schema/error.js';
import { Alive, Readiness } from './schema.js';

interface HealthDeps {
  readonly drain: Drain;
  readonly engine: Pick<Engine, 'healthy'>;
  /** Whether the store of prefixes answers. */
  readonly storeReady: () => Promise<boolean>;
}

// Probes come every few seconds: they are logged when something is wrong.
const logLevel = 'warn';
const tags = ['health'];
const liveSchema = { summary: 'Whether the process answers', tags, response: { 200: Alive } };
const readySchema = { summary: 'Whether it takes requests', tags, response: { 200: Readiness, ...errorResponses } };

/**
 * `/livez`: the process answers. `/readyz`: it takes new requests. Without its store it still does, for the base model and for
 * prefixes in memory, and says that it is degraded: taking every replica out at once would make that worse.
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
