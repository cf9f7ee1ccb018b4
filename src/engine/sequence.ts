import type { EventStream } from './event-stream.js';
import type { OutputText } from './output-text.js';
import type { FinishReason, GenerationRequest } from './request.js';

/** What a sequence is made with; the engine fills in what the request leaves open. */
export interface SequenceOptions {
  /** The request's seed, or one of its own. */
  readonly seed: number;
  /** Tokens that end the sequence. */
  readonly endTokens: ReadonlySet<number>;
  readonly text: OutputText;
  readonly events: EventStream;
}

/**
 * One sequence from submission to its end: the only carrier of mutable state in the engine. What can be derived is a getter.
 * A token's position is always its index in the slot's keys and values.
 */
export class Sequence {
  /** Prompt and generated tokens. */
  readonly tokens: number[];
  /** How many of them have keys and values; virtual tokens are not counted. */
  numComputedTokens = 0;
  /** The KV slot; undefined while it waits. */
  slot: number | undefined;
  /** Why it ended; undefined while it has not. */
  finishReason: FinishReason | undefined;
  readonly seed: number;
  readonly endTokens: ReadonlySet<number>;
  readonly text: OutputText;
  readonly events: EventStream;

  constructor(
    readonly request: GenerationRequest,
    { seed, endTokens, text, events }: SequenceOptions,
  ) {
    this.tokens = [...request.prompt];
    this.seed = seed;
    this.endTokens = endTokens;
    this.text = text;
    this.events = events;
  }

  get status(): 'waiting' | 'running' | 'finished' {
    if (this.finishReason !== undefined) return 'finished';
    return this.slot === undefined ? 'waiting' : 'running';
  }

  get numGeneratedTokens(): number {
    return this.tokens.length - this.request.prompt.length;
  }

  /** Tokens whose keys and values are missing: one when it decodes, more while it is in prefill. */
  get numRemainingTokens(): number {
    return this.tokens.length - this.numComputedTokens;
  }

  /** The most tokens of its own that it can come to. */
  get maxTokens(): number {
    return this.request.prompt.length + this.request.maxTokens;
  }

  /** Whether computing its prompt is worth something although no token may follow, or beside those that do. */
  get isPromptScored(): boolean {
    return this.request.promptLogprobs !== undefined && this.request.prompt.length > 1;
  }

  /** Index of the token that the virtual tokens stand before; undefined without a prefix. */
  get prefixIndex(): number | undefined {
    const { prefix, prompt } = this.request;
    if (prefix === undefined) return undefined;
    return prefix.placement === 'prefix' ? 0 : prompt.length - 1;
  }

  /** Whether the next token to compute is the one that the virtual tokens stand before: they must be in the slot first. */
  get isAtPrefix(): boolean {
    return this.numComputedTokens === this.prefixIndex;
  }

  /** Position of the next token to compute. */
  get past(): number {
    return this.#positionOf(this.numComputedTokens);
  }

  /** Positions of the slot that hold something; virtual tokens count from the step on that computes the token behind them. */
  get kvLength(): number {
    return this.numComputedTokens === 0 ? 0 : this.#positionOf(this.numComputedTokens - 1) + 1;
  }

  #positionOf(index: number): number {
    const { prefix } = this.request;
    return prefix !== undefined && index >= (this.prefixIndex ?? 0) ? index + prefix.kv.length : index;
  }
}
