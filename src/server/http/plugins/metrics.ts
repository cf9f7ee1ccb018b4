import fp from 'fastify-plugin';

import type { Metrics } from '../../../metrics/metrics.js';

/** What the server tells and shows of the process's metrics. */
export type ServerMetrics = Pick<Metrics, 'contentType' | 'failed' | 'text'>;

declare module 'fastify' {
  interface FastifyInstance {
    metrics: ServerMetrics;
  }
}

/** `/metrics`, for Prometheus; every handler finds the metrics at its server. */
export default fp<{ readonly metrics: ServerMetrics }>(
  async (app, { metrics }) => {
    app.decorate('metrics', metrics);
    app.get('/metrics', { logLevel: 'warn', schema: { tags: ['health'] } }, async (_, reply) =>
      reply.type(metrics.contentType).send(await metrics.text()),
    );
  },
  { name: 'metrics', fastify: '5.x' },
);
