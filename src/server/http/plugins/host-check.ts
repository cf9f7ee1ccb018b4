import fp from 'fastify-plugin';

import { isLoopback } from '../../../lib/loopback.js';
import { ApiError } from '../../errors.js';

/** A name, or an address of which IPv6's is in brackets; then perhaps a port. */
const AUTHORITY = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d*)?$/i;

/**
 * Refuses requests for hosts other than this machine and those in `allowed` (lower-cased, IPv6 in brackets). A web page
 * whose own name leads to this machine, by DNS rebinding, is of this server's origin to its browser, and only the name
 * in its requests tells. No browser leaves the name out, as HTTP/1.0 may.
 */
export default fp<{ allowed: readonly string[] }>(
  async (app, { allowed }) => {
    app.addHook('onRequest', async ({ raw: { headers, url = '' } }) => {
      // A target may be a whole URL, whose host then counts instead of the header's.
      const asked = [headers.host, /^\w+:\/\/([^/?#]*)/.exec(url)?.[1]].filter((host) => host !== undefined);
      const other = asked.find((host) => !isServed(AUTHORITY.exec(host)?.[1]?.toLowerCase() ?? '', allowed));
      if (other === undefined) return;
      const served = 'hosts that are this machine, such as localhost, or that PREAMBLE_ALLOWED_HOSTS names';
      throw new ApiError('host_not_allowed', `Without keys, this server answers only to ${served}: not to '${other}'.`);
    });
  },
  { name: 'host-check', fastify: '5.x' },
);

/** `*.localhost` too: browsers resolve it to this machine without asking anybody. */
function isServed(host: string, allowed: readonly string[]): boolean {
  return isLoopback(host.replace(/^\[|\]$/g, '')) || host.endsWith('.localhost') || allowed.includes(host);
}
