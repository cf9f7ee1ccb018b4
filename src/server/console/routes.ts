import fastifyStatic from '@fastify/static';
import fp from 'fastify-plugin';

/**
 * Content security policy of the console. Scripts and styles are files of this server; nothing is inline, nothing comes from elsewhere, and the
 * page speaks to no other server. No page may frame it.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Headers of every file of the console. */
const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

/** How long a browser may keep a file whose name has the hash of its content. */
const YEAR_SECONDS = 31_536_000;

interface ConsoleOptions {
  /** What the build has written: `index.html`, and files named by their hashes, each with a compressed copy beside it. */
  readonly directory: string;
}

/** Serves the console's files at `/console/`; `/` leads there. The files are public: what they show comes from the API, with a key. */
export default fp<ConsoleOptions>(
  async (app, { directory }) => {
    // Relative, so that it is right behind a proxy that serves this below a path of its own.
    for (const url of ['/', '/console'])
      app.get(url, { schema: { hide: true } }, async (_, reply) => reply.redirect('console/'));
    await app.register(fastifyStatic, {
      root: directory,
      prefix: '/console/',
      decorateReply: false,
      // A route for each file, and none for what is not there.
      wildcard: false,
      globIgnore: ['**/*.br', '**/*.gz'],
      preCompressed: true,
      cacheControl: false,
      setHeaders: (reply, path) => {
        const isNamedByHash = !path.includes('index.html');
        reply.header('cache-control', isNamedByHash ? `public, max-age=${YEAR_SECONDS}, immutable` : 'no-cache');
        reply.headers(HEADERS);
      },
    });
  },
  { name: 'console', fastify: '5.x' },
);
