import type { EngineLimits } from '../engine-limits.js';
import {
  type BeamRequest,
  blendBudgetOf,
  type BlendRequest,
  type GenerationRequest,
  isInstant,
  tokenBudgetOf,
} from '../request.js';
import { reservedSlots } from './admission.js';
import { FULL_SHARE } from './fair-share.js';
import { QueueLoad } from './queue-load.js';

/** Whatever is submitted. */
export type EngineRequest = GenerationRequest | BeamRequest | BlendRequest;

/**
 * How many of these requests, submitted together and in order, an engine accepts that has nothing else to do: those behind them never find
 * room beside them. The queue's limits decide it, and their tenant's part of the queue.
 */
export function countFitting(requests: readonly EngineRequest[], limits: EngineLimits, slots: number): number {
  const load = new QueueLoad(limits);
  const isFull = (request: EngineRequest): boolean => {
    if (isInstant(request)) return false;
    const { tenant, share = FULL_SHARE, priority } = request;
    const queued = { tenant, share, tokenBudget: budgetOf(request) };
    const freeSlots = slots - (priority === 'background' ? reservedSlots(slots) : 0);
    if (load.whatIsFull(queued, freeSlots) !== undefined) return true;
    load.count(queued, 1);
    return false;
  };
  const full = requests.findIndex(isFull);
  return full < 0 ? requests.length : full;
}

function budgetOf(request: EngineRequest): number {
  if ('entries' in request) return blendBudgetOf(request);
  return tokenBudgetOf(request, 'width' in request ? request.width : 1);
}
