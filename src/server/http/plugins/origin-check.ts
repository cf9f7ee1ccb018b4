import type { IncomingHttpHeaders } from 'node:http';

import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';
import { isThisMachine } from '../authority.js';

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
/** What `Sec-Fetch-Site` says of a request that no page of another origin has made. */
const OWN_SITES: readonly (string | string[] | undefined)[] = [undefined, 'same-origin', 'none'];

/**
 * Refuses writes that a web page of another origin asks for, unless it is in `allowed` or this machine serves it to its own
 * browser: a browser sends forms to any server. (From reading, it keeps the page by itself.) Programs other than browsers
 * send neither header.
 */
export default fp<{ allowed: readonly string[] }>(
  async (app, { allowed }) => {
    app.addHook('onRequest', async ({ method, headers }) => {
      if (READS.has(method) || isOwn(headers) || isLocal(headers) || allowed.includes(headers.origin ?? '')) return;
      const remedy = 'name its origin in PREAMBLE_ALLOWED_ORIGINS, or use keys';
      const asker = `A web page of another origin ('${headers.origin ?? 'unknown'}')`;
      throw new ApiError('origin_not_allowed', `${asker} asks for this. To allow it, ${remedy}.`);
    });
  },
  { name: 'origin-check', fastify: '5.x' },
);

/** The scheme is not compared: a proxy in front may speak HTTPS. */
function isOwn({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  return OWN_SITES.includes(site) && [undefined, `http://${host}`, `https://${host}`].includes(origin);
}

/** Whether this machine serves both the page and the browser's view of this server. */
function isLocal({ host = '', origin = '' }: IncomingHttpHeaders): boolean {
  const page = /^https?:\/\/(.+)$/.exec(origin)?.[1] ?? '';
  return isThisMachine(host) && isThisMachine(page);
}
