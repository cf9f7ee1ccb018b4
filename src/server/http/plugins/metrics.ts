import fp from 'fastify-plugin';

import type { Metrics } from '../../../metrics/metrics.js';

/** The part of the metrics that the server uses. */
export type ServerMetrics = Pick<Metrics, 'contentType' | 'failed' | 'text'>;

declare module 'fastify' {
  interface FastifyInstance {
    /** Metrics of the process. */
    metrics: ServerMetrics;
  }
}

/** Serves `/metrics` for Prometheus, and gives handlers access to the metrics. */
export default fp<{ readonly metrics: ServerMetrics }>(
  async (app, { metrics }) => {
    app.decorate('metrics', metrics);
    app.get('/metrics', { logLevel: 'warn', schema: { tags: ['health'] } }, async (_, reply) =>
      reply.type(metrics.contentType).send(await metrics.text()),
    );
  },
  { name: 'metrics', fastify: '5.x' },
);
