import type { FastifyRequest } from 'fastify';

import { adapterId } from '../../prefix/name.js';

/** What was done to a prefix. */
type Action = 'shares.set' | 'shares.rollback' | 'grant.add' | 'grant.remove';

/** Writes one line of the log about who changed what of a prefix, in ids: its name is not in the log. */
export function audit(request: FastifyRequest, action: Action, name: string, details: object): void {
  const { tenant } = request;
  request.log.info({ tenant, action, adapter_id: adapterId(tenant, name), ...details }, 'audit');
}
