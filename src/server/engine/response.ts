import type { EngineEvent, EngineInterval } from '../../metrics/feed/engine-event.js';
import type { EngineState } from './schema.js';

/**
 * An event as the API has it.
 * @param contextLength positions of a slot
 */
export function toEngineState(event: EngineEvent, contextLength: number): EngineState {
  const { counts, slots, interval } = event;
  return {
    object: 'engine',
    time: event.time / 1000,
    context_length: contextLength,
    slots: slots.map(({ state, tenant = null, priority = null, positions }) => ({
      state,
      tenant,
      priority,
      positions,
    })),
    running: event.running,
    waiting: { ...event.waitingByClass },
    waiting_tokens: event.waitingTokens,
    kv_usage: event.kvUsage,
    prompt_tokens: counts.promptTokens,
    generated_tokens: counts.generatedTokens,
    prefix_cache: { queries: counts.prefixQueries, hits: counts.prefixHits, bytes: event.prefixCacheBytes },
    prompt_cache: {
      query_tokens: counts.promptCacheQueries,
      hit_tokens: counts.promptCacheHits,
      bytes: event.promptCacheBytes,
    },
    drafts: {
      verified: counts.drafts,
      draft_tokens: counts.draftTokens,
      accepted_tokens: counts.acceptedTokens,
    },
    interval: interval === undefined ? null : toInterval(interval),
  };
}

function toInterval(interval: EngineInterval): NonNullable<EngineState['interval']> {
  return {
    seconds: interval.seconds,
    steps: interval.steps,
    prompt_tokens: interval.promptTokens,
    generated_tokens: interval.generatedTokens,
    step_seconds_p50: interval.stepSecondsP50 ?? null,
    step_seconds_p95: interval.stepSecondsP95 ?? null,
  };
}
