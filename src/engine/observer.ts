import type { FinishReason } from './finish-reason.js';
import type { Priority } from './priority.js';

/** One forward pass: of a step, or of a piece of a source. */
export interface ObservedStep {
  /** `decode`: rows only; `prefill`: a chunk only; `mixed`: both; `encode`: a piece of a source. */
  readonly kind: 'decode' | 'prefill' | 'mixed' | 'encode';
  readonly rows: number;
  /** Prompt tokens of the chunk; all tokens of a source in its last piece, and 0 in those before. */
  readonly chunkTokens: number;
  readonly seconds: number;
}

/** A sequence that came to its end, whichever it was. */
export interface ObservedEnd {
  /** `error`: a step failed. */
  readonly reason: FinishReason | 'error';
  /** Of a request with a source: its tokens, without those that the decoder starts with. */
  readonly promptTokens: number;
  /** As many as the observer was told of by `firstToken` and `nextToken`; a beam that was dropped has generated some too. */
  readonly generatedTokens: number;
  /** Since it was submitted; undefined for background work, whose times nobody waits for. */
  readonly seconds: number | undefined;
}

/** Load of the engine at one moment. */
export interface EngineStats {
  readonly waiting: number;
  /** Prompt tokens and `maxTokens` of the sequences that wait. */
  readonly waitingTokens: number;
  readonly running: number;
  readonly slots: number;
  /**
   * Part of all positions of slots and source slots that running sequences hold, 0 to 1. Virtual tokens that are not counted as
   * positions are left out.
   */
  readonly kvUsage: number;
  /** Bytes that the prompt cache holds. */
  readonly promptCacheBytes: number;
  /** Bytes of what drafts are made from. */
  readonly draftTableBytes: number;
  /** Opaque ids of the prefixes of running and of waiting sequences, each once. */
  readonly runningPrefixes: readonly string[];
  readonly waitingPrefixes: readonly string[];
}

/** What one slot is used for at one moment. */
export interface SlotState {
  /** `reserved`: kept for a beam of a search whose prompt is being computed; such slots have no places of their own yet. */
  readonly state: 'free' | 'prefill' | 'decode' | 'reserved';
  /** Whose sequence the slot is held by; undefined for a free one. */
  readonly tenant: string | undefined;
  /** Class of the sequence; undefined for a free slot. */
  readonly priority: Priority | undefined;
  /** Positions in use, of the context's; 0 for a slot that is free or reserved. */
  readonly positions: number;
}

/** Load of the engine at one moment, slot by slot. */
export interface EngineSnapshot extends EngineStats {
  /** Sequences that wait, by class of work. */
  readonly waitingByClass: Readonly<Record<Priority, number>>;
  /** As many as there are slots, in their order. */
  readonly slotStates: readonly SlotState[];
}

/** Is told what the engine does, in counts and seconds; it must not throw. Nothing tells of whom or of what. */
export interface EngineObserver {
  /** An interactive sequence got its first slot. @param seconds since it was submitted */
  admitted(seconds: number): void;
  /** The prompt cache was asked for a prompt of `tokens` tokens, and had the first `cached` of them. */
  promptLookedUp(tokens: number, cached: number): void;
  stepped(step: ObservedStep): void;
  /** A sequence's first token came. @param seconds since it was submitted; undefined for background work */
  firstToken(seconds: number | undefined): void;
  /** A draft of `drafted` tokens, at least one, was verified: the first `accepted` of them are what the model chose. */
  verified(drafted: number, accepted: number): void;
  /** A further token came. @param seconds since the one before; 0 for tokens of one step; undefined for background work */
  nextToken(seconds: number | undefined): void;
  ended(end: ObservedEnd): void;
}

/** Is told of the life of one sequence, a few times in all, however many tokens it has; it must not throw. */
export interface SequenceObserver {
  /** The sequence got its first slot. @param reusedTokens tokens of source and prompt that need not be computed for it */
  admitted(reusedTokens: number): void;
  /** Its first token came. @param rows decode rows of the step */
  firstToken(rows: number): void;
  ended(end: ObservedEnd): void;
}
