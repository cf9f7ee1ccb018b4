import type { TokenBytes } from '../tokenizer/text-stream.js';
import type { Generation, GenerationRequest } from './request.js';
import type { ModelRunner } from './runner.js';

/** How much the engine takes on. */
export interface EngineLimits {
  /** Prompt tokens that one step computes beside the decode rows. */
  readonly maxChunkTokens: number;
  /** Sequences that may wait beyond the free slots. */
  readonly maxWaitingRequests: number;
  /** Tokens, prompt and `maxTokens` of each, that may wait. */
  readonly maxWaitingTokens: number;
}

export interface EngineOptions {
  readonly runner: ModelRunner;
  readonly tokenizer: TokenBytes;
  /** The model's end tokens. */
  readonly eosTokenIds: readonly number[];
  /** Those left out are 64 tokens, 1024 requests and 1,048,576 tokens. */
  readonly limits?: Partial<EngineLimits>;
}

/** The engine's load at one moment. */
export interface EngineStats {
  readonly waiting: number;
  readonly waitingTokens: number;
  readonly running: number;
  readonly slots: number;
  /** Part of all KV positions that running sequences hold, 0 to 1. */
  readonly kvUsage: number;
}

/** Generates for many sequences at once: each step computes all decode rows and at most one chunk of a prompt. */
export class Engine {
  constructor(readonly options: EngineOptions) {}

  /** False after several steps in a row have failed, until one succeeds. */
  get healthy(): boolean {
    return true;
  }

  /**
   * Queues one sequence; it starts when a slot is free.
   * @throws EngineError `context_length_exceeded`, `invalid_prompt`, `queue_full` or `shutting_down`
   */
  submit(_request: GenerationRequest): Generation {
    throw new Error('not yet');
  }

  stats(): EngineStats {
    throw new Error('not yet');
  }

  /** Refuses new sequences from now on and resolves when all that were accepted are finished. */
  drain(): Promise<void> {
    throw new Error('not yet');
  }

  /** Resolves when nothing is waiting or running. */
  idle(): Promise<void> {
    throw new Error('not yet');
  }

  /** @throws Error when the books do not add up: a slot lost, held twice, or a gap between decode rows. */
  checkIntegrity(): void {
    throw new Error('not yet');
  }
}
