import { setImmediate } from 'node:timers/promises';

import type { TokenBytes } from '../tokenizer/text-stream.js';
import { EngineError } from './errors.js';
import { EventStream } from './event-stream.js';
import { readRow } from './logits-row.js';
import { emitNextToken, emitPromptTokens, finish } from './next-token.js';
import { OutputText } from './output-text.js';
import { WaitingQueue, type QueueLimits } from './queue.js';
import { randomSeed } from './random.js';
import type { Generation, GenerationRequest } from './request.js';
import type { ModelRunner, StepOutput } from './runner.js';
import { schedule, type Schedule, type ScheduledChunk } from './scheduler.js';
import { Sequence } from './sequence.js';
import { Slots, type SlotMove } from './slots.js';
import { toStepInput } from './step-input.js';

/** How much the engine takes on. */
export interface EngineLimits extends QueueLimits {
  /** Prompt tokens that one step computes beside the decode rows. */
  readonly maxChunkTokens: number;
}

export interface EngineOptions {
  /** The engine is its only user. */
  readonly runner: ModelRunner;
  readonly tokenizer: TokenBytes;
  /** The model's end tokens. */
  readonly eosTokenIds: readonly number[];
  /** Those left out are 64 tokens a chunk, 1024 waiting requests and 1,048,576 waiting tokens. */
  readonly limits?: Partial<EngineLimits>;
}

/** The engine's load at one moment. */
export interface EngineStats {
  readonly waiting: number;
  /** Prompt tokens and `maxTokens` of those that wait. */
  readonly waitingTokens: number;
  readonly running: number;
  readonly slots: number;
  /** Part of all KV positions that running sequences hold, 0 to 1. */
  readonly kvUsage: number;
}

const defaultLimits: EngineLimits = { maxChunkTokens: 64, maxWaitingRequests: 1024, maxWaitingTokens: 2 ** 20 };

/** After so many failed steps in a row the runner is taken to be broken. */
const UNHEALTHY_FAILURES = 3;

/**
 * Generates for many sequences at once. Each step computes one token of every decode row and at most one chunk of a prompt; one
 * step is in flight at a time, and between steps other work of the process gets its turn. Without work the engine sleeps.
 */
export class Engine {
  readonly #runner: ModelRunner;
  readonly #options: EngineOptions;
  readonly #limits: EngineLimits;
  readonly #queue: WaitingQueue;
  readonly #slots: Slots;
  #loop: Promise<void> | undefined;
  #isDraining = false;
  #failures = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#runner = options.runner;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#queue = new WaitingQueue(this.#limits);
    this.#slots = new Slots(options.runner.slots);
  }

  /** False after several steps in a row have failed, until one succeeds. */
  get healthy(): boolean {
    return this.#failures < UNHEALTHY_FAILURES;
  }

  /**
   * Queues one sequence; it starts when a slot is free and its turn has come.
   * @throws EngineError `context_length_exceeded`, `invalid_prompt`, `queue_full` or `shutting_down`
   */
  submit(request: GenerationRequest): Generation {
    this.#check(request);
    const sequence = this.#createSequence(request);
    if (request.maxTokens === 0 && !sequence.isPromptScored) finish(sequence, 'length');
    else this.#enqueue(sequence);
    return sequence.events;
  }

  stats(): EngineStats {
    const running = this.#slots.held.filter(({ status }) => status === 'running');
    const positions = running.reduce((total, { kvLength }) => total + kvLength, 0);
    return {
      waiting: this.#queue.length,
      waitingTokens: this.#queue.tokens,
      running: running.length,
      slots: this.#slots.total,
      kvUsage: positions / (this.#slots.total * this.#runner.contextLength),
    };
  }

  /** Refuses new sequences from now on; resolves when all that were accepted are finished. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.idle();
  }

  /** Resolves when nothing waits or runs and every slot is free. */
  async idle(): Promise<void> {
    while (this.#loop) await this.#loop;
  }

  /** @throws Error when the books do not add up: a slot lost, held twice or by a waiting sequence, or a gap between rows. */
  checkIntegrity(): void {
    this.#slots.checkIntegrity();
    this.#queue.checkIntegrity();
    if (!this.#loop && this.#hasWork) throw new Error('the engine sleeps although there is work');
  }

  get #hasWork(): boolean {
    return this.#queue.length > 0 || this.#slots.held.length > 0;
  }

  async #run(): Promise<void> {
    while (this.#hasWork) {
      await setImmediate();
      try {
        await this.#step();
      } catch (error) {
        this.#failRunning(error);
      }
    }
    this.#loop = undefined;
  }

  async #step(): Promise<void> {
    await this.#copy(this.#slots.settle());
    const plan = this.#schedule();
    await this.#admit(plan.admitted);
    const input = toStepInput(plan, this.#runner.vocabularySize);
    if (input === undefined) return;
    await this.#appendPrefixes(plan);
    const output = await this.#runner.step(input);
    this.#failures = 0;
    this.#accept(plan, output);
  }

  #schedule(): Schedule<Sequence> {
    return schedule({
      waiting: this.#queue.sequences,
      running: this.#slots.held,
      freeSlots: this.#slots.numFree,
      maxChunkTokens: this.#limits.maxChunkTokens,
    });
  }

  async #admit(admitted: readonly Sequence[]): Promise<void> {
    const moves = admitted.flatMap((sequence) => {
      this.#queue.remove(sequence);
      return this.#slots.allocate(sequence);
    });
    await this.#copy(moves);
  }

  async #copy(moves: readonly SlotMove[]): Promise<void> {
    for (const { from, to, length } of moves) await this.#runner.copySlot(from, to, length);
  }

  async #appendPrefixes({ decode, chunk }: Schedule<Sequence>): Promise<void> {
    for (const { isAtPrefix, slot, prefixIndex, request } of chunk ? [...decode, chunk.sequence] : decode) {
      if (!isAtPrefix || slot === undefined || prefixIndex === undefined || !request.prefix) continue;
      await this.#runner.append(slot, prefixIndex, request.prefix.kv);
    }
  }

  /** Books what a step computed and sends each sequence its next token. */
  #accept({ decode, chunk }: Schedule<Sequence>, output: StepOutput): void {
    decode.forEach((sequence, row) => {
      sequence.numComputedTokens += 1;
      this.#emit(sequence, output, row);
    });
    if (!chunk) return;
    if (chunk.sequence.isPromptScored) this.#emitPrompt(chunk, output, decode.length);
    chunk.sequence.numComputedTokens += chunk.numTokens;
    if (chunk.isLast) this.#emit(chunk.sequence, output, output.rows - 1);
  }

  #emit(sequence: Sequence, output: StepOutput, row: number): void {
    if (sequence.status === 'finished') return; // cancelled during the step
    emitNextToken(sequence, readRow(output, row, this.#runner.vocabularySize));
  }

  /** @param firstRow the row of the chunk's first token */
  #emitPrompt({ sequence, numTokens }: ScheduledChunk<Sequence>, output: StepOutput, firstRow: number): void {
    const rows = Array.from({ length: numTokens }, (_, i) =>
      readRow(output, firstRow + i, this.#runner.vocabularySize),
    );
    emitPromptTokens(sequence, sequence.numComputedTokens, rows);
  }

  #failRunning(cause: unknown): void {
    this.#failures++;
    const error = new EngineError('runner_failed', 'The model failed to compute a step.', { cause });
    for (const sequence of this.#slots.held) {
      sequence.events.fail(error);
      sequence.finishReason ??= 'abort';
    }
    this.#slots.clear();
  }

  #createSequence(request: GenerationRequest): Sequence {
    const sequence: Sequence = new Sequence(request, {
      seed: request.sampling.seed ?? randomSeed(),
      endTokens: new Set([...(request.ignoreEos ? [] : this.#options.eosTokenIds), ...request.stopTokenIds]),
      text: new OutputText(this.#options.tokenizer, request.stop),
      events: new EventStream(() => {
        this.#cancel(sequence);
      }),
    });
    return sequence;
  }

  #enqueue(sequence: Sequence): void {
    if (!this.#queue.canAdd(sequence, this.#slots.numFree)) {
      throw new EngineError('queue_full', 'Too many requests are waiting.');
    }
    this.#queue.add(sequence);
    this.#loop ??= this.#run();
  }

  /** A waiting sequence leaves at once, a running one gives its slot back before the next step. */
  #cancel(sequence: Sequence): void {
    this.#queue.remove(sequence);
    finish(sequence, 'abort');
  }

  #check({ prompt, prefix, maxTokens }: GenerationRequest): void {
    if (this.#isDraining) throw new EngineError('shutting_down', 'The server is shutting down.');
    const { vocabularySize, contextLength } = this.#runner;
    if (prompt.length === 0) throw new EngineError('invalid_prompt', 'A prompt needs at least one token.');
    const invalid = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
    if (invalid !== undefined) {
      throw new EngineError('invalid_prompt', `Token id ${invalid} is not 0 to ${vocabularySize - 1}.`);
    }
    const virtual = prefix?.kv.length ?? 0;
    if (virtual + prompt.length + maxTokens <= contextLength) return;
    const asked = `${virtual} virtual, ${prompt.length} prompt and ${maxTokens} new tokens`;
    throw new EngineError('context_length_exceeded', `The context is ${contextLength} tokens, but asked are ${asked}.`);
  }
}
