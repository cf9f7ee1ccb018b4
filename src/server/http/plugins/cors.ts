import cors from '@fastify/cors';
import fp from 'fastify-plugin';

/** Headers of answers that a page may read beside those that it always may. */
const EXPOSED = [
  'x-request-id',
  'retry-after',
  'x-should-retry',
  ...['requests', 'tokens'].flatMap((kind) =>
    ['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${kind}`),
  ),
];
/** How long a browser may remember that it may send a request. */
const MAX_AGE_SECONDS = 600;

/** Lets web pages of the origins in `allowed` use this server, by CORS; `*` is every origin. Off if there is none. */
export default fp<{ allowed: readonly string[] }>(
  async (app, { allowed }) => {
    if (allowed.length === 0) return;
    await app.register(cors, {
      origin: [...allowed],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      exposedHeaders: EXPOSED,
      maxAge: MAX_AGE_SECONDS,
      // Otherwise an OPTIONS that is no preflight gets an error that is not in the envelope.
      strictPreflight: false,
    });
  },
  { name: 'cors', fastify: '5.x' },
);
