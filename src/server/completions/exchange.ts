import type { FastifyReply, FastifyRequest } from 'fastify';

import type { RequestTrace } from '../../tracing/request-trace.js';
import { disconnectSignal } from '../http/disconnect.js';
import { Turns } from './turns.js';

/** The HTTP request that a completion, or each of a batch, belongs to. */
export interface Exchange {
  /** Aborts when the client goes away before it has its whole answer. */
  readonly gone: AbortSignal;
  /** Undefined: it is not traced. */
  readonly trace: RequestTrace | undefined;
  /** One for each prompt. */
  readonly turns: Turns;
}

/** The exchange that a reply will end. */
export function exchangeOf({ trace }: Pick<FastifyRequest, 'trace'>, reply: Pick<FastifyReply, 'raw'>): Exchange {
  const gone = disconnectSignal(reply);
  return { gone, trace, turns: new Turns(gone) };
}
