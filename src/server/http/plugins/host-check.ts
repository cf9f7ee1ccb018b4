import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';
import { hostOf, isThisMachine } from '../authority.js';

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
      const other = asked.find((host) => !isThisMachine(host) && !allowed.includes(hostOf(host)));
      if (other === undefined) return;
      const served = 'hosts that are this machine, such as localhost, or that PREAMBLE_ALLOWED_HOSTS names';
      throw new ApiError('host_not_allowed', `Without keys, this server answers only to ${served}: not to '${other}'.`);
    });
  },
  { name: 'host-check', fastify: '5.x' },
);
