import type { FastifyPluginAsync } from 'fastify';

import type { Engine } from '../../engine/engine.js';
import { ApiError } from '../errors.js';
import type { Drain } from '../plugins/drain.js';

interface HealthDeps {
  readonly drain: Drain;
  readonly engine: Pick<Engine, 'healthy'>;
}

// Probes come every few seconds: they are logged when something is wrong.
const options = { logLevel: 'warn', schema: { tags: ['health'] } } as const;

/** `/livez`: the process answers. `/readyz`: it takes new requests. */
const healthRoutes: FastifyPluginAsync<HealthDeps> = async (app, { drain, engine }) => {
  app.get('/livez', options, () => ({ status: 'ok' }));
  app.get('/readyz', options, () => {
    if (drain.draining) throw new ApiError('server_draining', 'The server is shutting down.');
    if (!engine.healthy) throw new ApiError('server_not_ready', 'The model fails at present.');
    return { status: 'ok' };
  });
};

export default healthRoutes;
