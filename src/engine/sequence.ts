import type { EventStream } from './output/event-stream.js';
import { FULL_SHARE, type TenantShare } from './policy/fair-share.js';
import type { SequenceObserver } from './observer.js';
import type { OutputText } from './output/output-text.js';
import type { FinishReason } from './finish-reason.js';
import type { Priority } from './priority.js';
import { type GenerationRequest, isPromptScored, type ScoredToken, tokenBudgetOf } from './request.js';
import type { SourceEncoding } from './runner.js';
import type { SequenceGroup } from './sequence-group.js';

/** Parts of a sequence; the engine fills in what the request leaves open. */
export interface SequenceOptions {
  /** The request's seed, or one of its own. */
  readonly seed: number;
  /** Tokens that end the sequence. */
  readonly endTokens: ReadonlySet<number>;
  readonly text: OutputText;
  readonly events: EventStream;
  /** When it was submitted, in seconds. */
  readonly submittedAt: number;
  /** Called once, when it has ended. */
  readonly onEnd: (sequence: Sequence) => void;
}

/**
 * One sequence from submission to its end: the only carrier of mutable state in the engine. What can be derived is a getter.
 */
export class Sequence {
  /** Prompt and generated tokens. */
  readonly tokens: number[];
  /** Number of leading tokens that have keys and values; virtual tokens are not counted. */
  numComputedTokens = 0;
  /** Number of prompt tokens that came from the prompt cache; undefined where it was not asked. */
  numCachedTokens: number | undefined;
  /** The KV slot; undefined while it waits. */
  slot: number | undefined;
  /** Source slot that its tokens attend to, once its source is encoded; undefined without a source, and while it waits. */
  sourceSlot: number | undefined;
  /** Its source, while that is being encoded. */
  #encoding: SourceEncoding | undefined;
  #isSourceEncoded = false;
  /** Scores of the prompt's tokens that were sent: a sequence that copies the prompt sends them too. */
  readonly promptScores: ScoredToken[] = [];
  /** Whether it ran before, and gave its slot up. */
  wasPreempted = false;
  /** Tokens computed for it that the engine's observer was told of: those generated or, as part of a beam search, those of each step. */
  numObservedTokens = 0;
  /** Most tokens that it had generated when it gave its slot up. */
  #numTokensBefore = 0;
  /** Slots that it needs or holds: its own, and those that it keeps for others of its group. */
  numSlots = 1;
  /** Beam search or blend that it is part of. */
  group: SequenceGroup<Sequence> | undefined;
  /** Told of this sequence alone. */
  observer: SequenceObserver | undefined;
  /** When its newest token came, or when it was submitted, in seconds. */
  lastTokenAt: number;
  readonly submittedAt: number;
  readonly seed: number;
  readonly endTokens: ReadonlySet<number>;
  readonly text: OutputText;
  readonly events: EventStream;
  readonly #onEnd: (sequence: Sequence) => void;
  #finishReason: FinishReason | 'error' | undefined;

  constructor(
    readonly request: GenerationRequest,
    { seed, endTokens, text, events, submittedAt, onEnd }: SequenceOptions,
  ) {
    this.tokens = [...request.prompt];
    this.seed = seed;
    this.endTokens = endTokens;
    this.text = text;
    this.events = events;
    this.submittedAt = submittedAt;
    this.lastTokenAt = submittedAt;
    this.#onEnd = onEnd;
  }

  /** Sequences with the same symbol may share its prompt. */
  get promptGroup(): symbol | undefined {
    return this.request.promptGroup;
  }

  get priority(): Priority {
    return this.request.priority ?? 'interactive';
  }

  /** Why it ended; undefined while it has not. */
  get finishReason(): FinishReason | 'error' | undefined {
    return this.#finishReason;
  }

  get status(): 'waiting' | 'running' | 'finished' {
    if (this.finishReason !== undefined) return 'finished';
    return this.slot === undefined ? 'waiting' : 'running';
  }

  get tenant(): string {
    return this.request.tenant;
  }

  get share(): TenantShare {
    return this.request.share ?? FULL_SHARE;
  }

  /** Its tenant's. */
  get weight(): number {
    return this.share.weight;
  }

  /** Tokens of the source and of the prompt. */
  get numPromptTokens(): number {
    return this.numSourceTokens + this.request.prompt.length;
  }

  /** Tokens of the source; 0 without one. */
  get numSourceTokens(): number {
    return this.request.source?.length ?? 0;
  }

  /** Whether tokens can be computed: the source is encoded, or there is none. */
  get isSourceEncoded(): boolean {
    return this.#isSourceEncoded || this.request.source === undefined;
  }

  get numGeneratedTokens(): number {
    return this.tokens.length - this.request.prompt.length;
  }

  /** Whether its next token was generated before: a beam search that gave its slots up begins anew. */
  get isRepeating(): boolean {
    return this.#numTokensBefore > 0 && this.numGeneratedTokens < this.#numTokensBefore;
  }

  /** Tokens whose keys and values are missing, the source's among them: one when it decodes, more while it is in prefill. */
  get numRemainingTokens(): number {
    const numSourceTokens = this.isSourceEncoded ? 0 : this.numSourceTokens;
    return numSourceTokens + this.tokens.length - this.numComputedTokens;
  }

  /** Tokens of source and prompt that were not computed for it, but copied or shared. */
  get numReusedTokens(): number {
    return this.numComputedTokens + (this.isSourceEncoded ? this.numSourceTokens : 0);
  }

  /** Whether the source, and all of the prompt but its last token, are computed: what its prompt group can share and copy. */
  get isPromptComputed(): boolean {
    return this.isSourceEncoded && this.numComputedTokens >= this.request.prompt.length - 1;
  }

  /** Most tokens that it can come to, with those of the other sequences of its group. */
  get tokenBudget(): number {
    return this.group?.tokenBudget ?? tokenBudgetOf(this.request, 1);
  }

  /** Whether it is a row of a blend, other than the first, which has the text: nobody is told of it. */
  get isAuxiliary(): boolean {
    return this.group?.isBlend === true && this.group.sequences[0] !== this;
  }

  /** Whether the chunks of its prompt are scored. The prompt of a blend is scored by its group. */
  get isPromptScored(): boolean {
    return isPromptScored(this.request) && this.group?.isBlend !== true;
  }

  /** Whether the step that computes its prompt's last token is its last, although others of its prompt group may wait to copy the prompt. */
  get endsWithPrompt(): boolean {
    return this.promptGroup !== undefined && this.group === undefined && this.request.maxTokens <= 1;
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

  /** Place in the slot of the next token to compute. */
  get past(): number {
    return this.positionOf(this.numComputedTokens);
  }

  /** Position that the next token to compute is embedded with. */
  get position(): number {
    return this.#countedPositionOf(this.numComputedTokens);
  }

  /** Positions that its computed tokens reach to, and virtual tokens where they are counted. */
  get numPositions(): number {
    return this.numComputedTokens === 0 ? 0 : this.#countedPositionOf(this.numComputedTokens - 1) + 1;
  }

  /** Positions of the slot that hold something; virtual tokens count from the step on that computes the token behind them. */
  get kvLength(): number {
    return this.numComputedTokens === 0 ? 0 : this.positionOf(this.numComputedTokens - 1) + 1;
  }

  /** Sequences that end together, the one that computes the prompt first: those of a beam search or a blend, or this one alone. */
  get sequenceGroup(): readonly [Sequence, ...Sequence[]] {
    return this.group?.sequences ?? [this];
  }

  /** Makes these tokens the generated ones; all before the last have keys and values, or will have when they are copied. */
  generate(ids: readonly number[]): void {
    this.tokens.splice(this.request.prompt.length, Infinity, ...ids);
    this.numComputedTokens = this.tokens.length - 1;
  }

  /**
   * Computes the next piece of its source: up to `maxTokens` tokens of one layer.
   * @param begin called for the first piece
   */
  async encode(maxTokens: number, begin: () => SourceEncoding): Promise<void> {
    this.#encoding ??= begin();
    if (!(await this.#encoding.advance(maxTokens))) return;
    this.#isSourceEncoded = true;
    this.#stopEncoding();
  }

  /** Lets its tokens attend to the encoded source of another sequence of the same request. */
  shareSource({ sourceSlot, isSourceEncoded }: Sequence): void {
    this.sourceSlot = sourceSlot;
    this.#isSourceEncoded = isSourceEncoded;
  }

  /** Gives its slot and its source up. Not to be called during a call of the runner. */
  leaveSlot(): void {
    this.#stopEncoding();
    this.#isSourceEncoded = false;
    this.slot = undefined;
    this.sourceSlot = undefined;
  }

  /** Takes it out of its slot: it waits again, and is computed anew. What is repeated is neither observed nor charged again. */
  preempt(): void {
    this.#numTokensBefore = Math.max(this.#numTokensBefore, this.numGeneratedTokens);
    this.leaveSlot();
    this.numComputedTokens = 0;
    this.wasPreempted = true;
  }

  /** Ends it; the first reason stays. */
  end(reason: FinishReason | 'error'): void {
    if (this.#finishReason !== undefined) return;
    this.#finishReason = reason;
    this.#onEnd(this);
  }

  /** Sends the scores of the next prompt tokens. */
  sendPromptScores(tokens: readonly ScoredToken[]): void {
    this.promptScores.push(...tokens);
    if (tokens.length > 0) this.events.push({ type: 'prompt', tokens });
  }

  /** Place of a token in the slot. */
  positionOf(index: number): number {
    const { prefix } = this.request;
    return prefix !== undefined && index >= (this.prefixIndex ?? 0) ? index + prefix.kv.length : index;
  }

  /** Position that a token is embedded with. */
  #countedPositionOf(index: number): number {
    const { prefix } = this.request;
    return prefix !== undefined && index >= (this.prefixIndex ?? 0) ? index + prefix.kv.shift : index;
  }

  #stopEncoding(): void {
    this.#encoding?.dispose();
    this.#encoding = undefined;
  }
}
