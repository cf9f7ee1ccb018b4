import fp from 'fastify-plugin';
import { Type } from 'typebox';

import type { Metrics } from '../../../metrics/metrics.js';
import { errorResponses } from '../../schema/error.js';
import { needsNoKey } from '../../schema/security.js';

/** The part of the metrics that the server uses. */
export type ServerMetrics = Pick<Metrics, 'contentType' | 'failed' | 'text'>;

declare module 'fastify' {
  interface FastifyInstance {
    /** Metrics of the process. */
    metrics: ServerMetrics;
  }
}

const metricsSchema = {
  operationId: 'getMetrics',
  summary: 'Metrics for Prometheus',
  tags: ['health'],
  security: needsNoKey,
  response: {
    200: { description: "Prometheus's text format.", content: { 'text/plain': { schema: Type.String() } } },
    ...errorResponses,
  },
};

/** Serves `/metrics` for Prometheus, and gives handlers access to the metrics. */
export default fp<{ readonly metrics: ServerMetrics }>(
  async (app, { metrics }) => {
    app.decorate('metrics', metrics);
    app.get('/metrics', { logLevel: 'warn', schema: metricsSchema }, async (_, reply) =>
      reply.type(metrics.contentType).send(await metrics.text()),
    );
  },
  { name: 'metrics', fastify: '5.x' },
);
