import type { EngineSnapshot, SlotState } from '../../engine/observer.js';

/** Counts since the process began. */
export interface EngineCounts {
  /** Prompt tokens of finished sequences. */
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Prefixes that were asked for, and those whose keys and values were in memory. */
  readonly prefixQueries: number;
  readonly prefixHits: number;
  /** Prompt tokens that the prompt cache was asked for, and those that it had. */
  readonly promptCacheQueries: number;
  readonly promptCacheHits: number;
  /** Drafts that were verified, their tokens, and those of them that the model chose. */
  readonly drafts: number;
  readonly draftTokens: number;
  readonly acceptedTokens: number;
}

/** What the engine did since the event before. */
export interface EngineInterval {
  readonly seconds: number;
  /** Forward passes. */
  readonly steps: number;
  /** Tokens of prompts and sources that were computed. */
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Seconds of a forward pass that half of them, and 95 of 100, did not exceed; undefined without one. */
  readonly stepSecondsP50: number | undefined;
  readonly stepSecondsP95: number | undefined;
}

/** A slot whose tenant is a number in place of a name. */
type NumberedSlot = Omit<SlotState, 'tenant'> & { readonly tenant: number | undefined };

/** The engine at one moment, in counts: nothing tells of whom or of what. */
export interface EngineEvent extends Omit<
  EngineSnapshot,
  'slotStates' | 'runningPrefixes' | 'waitingPrefixes' | 'slots'
> {
  /** Unix milliseconds. */
  readonly time: number;
  readonly slots: readonly NumberedSlot[];
  /** Bytes of prefixes' keys and values in memory. */
  readonly prefixCacheBytes: number;
  readonly counts: EngineCounts;
  /** Undefined where there is no event before. */
  readonly interval: EngineInterval | undefined;
}
