import type { QueueLimits } from './policy/queue-load.js';
import type { ChunkLimits } from './policy/schedule.js';
import type { ModelRunner } from './runner.js';

/** Bounds of the engine's work. */
export interface EngineLimits extends QueueLimits {
  /** Prompt tokens that one step computes beside the decode rows. */
  readonly maxChunkTokens: number;
  /** Prompt tokens of a step without decode rows; `maxChunkTokens` unless given. */
  readonly maxLoneChunkTokens?: number;
  /** Source tokens of one layer that an encoder computes between two steps of decode rows; without rows it computes whole layers. */
  readonly maxSourceTokens: number;
  /** Bytes of computed prompts kept for later requests of the same tenant under the same prefix; 0: none, and nothing is looked up. */
  readonly promptCacheBytes: number;
}

/** Those of an engine that is not told others. */
export const DEFAULT_LIMITS: EngineLimits = {
  maxChunkTokens: 32,
  maxSourceTokens: 128,
  maxWaitingRequests: 1024,
  maxWaitingTokens: 2 ** 20,
  promptCacheBytes: 0,
};

/** Sizes of chunks and of pieces of sources, none larger than the runner takes. */
export function chunkLimitsOf(limits: EngineLimits, runner: ModelRunner): ChunkLimits {
  const { maxChunkTokens, maxLoneChunkTokens = maxChunkTokens, maxSourceTokens } = limits;
  const { maxChunkTokens: mostOfRunner = Infinity } = runner;
  return {
    maxChunkTokens: Math.min(maxChunkTokens, mostOfRunner),
    maxLoneChunkTokens: Math.min(maxLoneChunkTokens, mostOfRunner),
    maxSourceTokens,
  };
}
