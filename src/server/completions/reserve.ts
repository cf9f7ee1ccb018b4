import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { requestContext, type RequestContext } from '../../completions/context.js';
import { Reservation } from '../../completions/plan/reservation.js';
import type { RateLimiter } from '../../tenancy/rate-limiter.js';
import { disconnectSignal } from '../http/disconnect.js';
import { callerOf } from '../http/plugins/tenant.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What a completion has taken of its caller's limits. Null on other routes. */
    reservation: Reservation | null;
  }
}

/** What requests are taken from. */
export interface ReservationDeps {
  readonly limiter: RateLimiter;
}

/** Takes each request of a scope from its caller's limits before its body is read: what is refused for its body has cost the machine something too. */
export function reserve(app: FastifyInstance, { limiter }: ReservationDeps): void {
  app.decorateRequest('reservation', null);
  app.addHook('onRequest', async (request) => {
    request.reservation = await Reservation.ofRequest(limiter, callerOf(request));
  });
}

/** Accepts every body: the completions layer validates it. */
export const leaveToCompletions = () => () => true;

/** What `reserve` has taken for a request. */
export function reservationOf({ reservation }: FastifyRequest): Reservation {
  if (!reservation) throw new Error('a completion without its reservation');
  return reservation;
}

/** The context of the completions that a reply will answer with. */
export function contextOf({ trace }: FastifyRequest, reply: FastifyReply): RequestContext {
  return requestContext(disconnectSignal(reply), trace);
}
