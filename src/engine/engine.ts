import { setImmediate } from 'node:timers/promises';

import type { TokenBytes } from '../tokenizer/text-stream.js';
import { BlendGroup, toEntryRequests } from './blends/blend-group.js';
import { BeamGroup, toSequenceRequest } from './beams/beam-group.js';
import { chunkLimitsOf, DEFAULT_LIMITS, type EngineLimits } from './engine-limits.js';
import type { AcceptedTokens, DraftPlanner, Drafts } from './drafting/draft-planner.js';
import { EngineError } from './errors.js';
import { EventStream } from './output/event-stream.js';
import { type Admission, admit, reservedSlots } from './policy/admission.js';
import { countFitting, type EngineRequest } from './policy/capacity.js';
import { inputCharge, outputCharge } from './policy/fair-share.js';
import { finish } from './step/next-token.js';
import { Observation } from './observation.js';
import type { EngineObserver, EngineSnapshot, EngineStats } from './observer.js';
import { OutputText } from './output/output-text.js';
import { appends, startAdmitted, startBranches } from './kv/start.js';
import { PromptCache } from './kv/prompt-cache.js';
import { randomSeed } from './sampling/random.js';
import type { Priority } from './priority.js';
import { type BeamRequest, type BlendRequest, type Generation, type GenerationRequest, isInstant } from './request.js';
import { checkBeams, checkBlend, checkRequest } from './request-check.js';
import type { KvCopy, ModelRunner, StepInput } from './runner.js';
import { schedule, type Schedule, type ScheduledPiece } from './policy/schedule.js';
import { Sequence } from './sequence.js';
import { makeTransfers, type Transfer } from './kv/transfers.js';
import { type SlotMove, Slots } from './kv/slots.js';
import { slotStatesOf } from './snapshot.js';
import { statsOf } from './stats.js';
import { encodePieces } from './step/encode-piece.js';
import { sampledSequences, toStepInput } from './step/step-input.js';
import { acceptStepOutput } from './step/step-output.js';
import { DeferredWakeups } from './output/deferred-wakeups.js';
import { WorkClass } from './policy/work-class.js';

export interface EngineOptions {
  /** The engine is its only user. */
  readonly runner: ModelRunner;
  readonly tokenizer: TokenBytes;
  /** The model's end tokens. */
  readonly eosTokenIds: readonly number[];
  /** Those left out are 32 tokens a chunk, 128 of a source, 1024 waiting requests, 1,048,576 waiting tokens and no prompt cache. */
  readonly limits?: Partial<EngineLimits>;
  readonly observer?: EngineObserver | undefined;
  /** Decides what steps verify beside computing the next token; left out: nothing. */
  readonly drafting?: DraftPlanner | undefined;
}

/** Failed steps in a row after which the runner is taken to be broken. */
const UNHEALTHY_FAILURES = 3;

/**
 * Generates for many sequences at once. Each step computes the next token of every decode row, and those behind a draft that turns out
 * right, and at most one chunk of a prompt, or one piece of a source behind the rows; one call of the runner is in flight at a time, and between steps other work of the process gets its
 * turn. Without work the engine sleeps.
 */
export class Engine {
  readonly #runner: ModelRunner;
  readonly #options: EngineOptions;
  readonly #limits: EngineLimits;
  readonly #classes: Readonly<Record<Priority, WorkClass>>;
  readonly #slots: Slots;
  readonly #promptCache: PromptCache | undefined;
  readonly #observation: Observation;
  readonly #wakeups = new DeferredWakeups();
  #loop: Promise<void> | undefined;
  #isDraining = false;
  #failures = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#runner = options.runner;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#classes = { interactive: new WorkClass(this.#limits), background: new WorkClass(this.#limits) };
    this.#slots = new Slots(options.runner.slots);
    const { promptCacheBytes } = this.#limits;
    if (promptCacheBytes > 0) this.#promptCache = new PromptCache(promptCacheBytes);
    this.#observation = new Observation(options.observer);
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
    if (isInstant(request)) finish(sequence, 'length');
    else this.#enqueue(sequence);
    return sequence.events;
  }

  /**
   * Queues a beam search; it starts when it can have `width` slots at once and its turn has come. Returns the hypotheses, best first:
   * each sends all its tokens, with their log-probabilities, when the search is over. To cancel one is to cancel the search.
   * @throws EngineError as `submit`, or `invalid_beams`
   */
  submitBeams(request: BeamRequest): Generation[] {
    this.#check(request);
    const first = this.#createSequence(toSequenceRequest(request));
    checkBeams(request, first.endTokens, this.#runner);
    const others = Array.from({ length: request.width - 1 }, () => this.#createSequence(first.request));
    const group = new BeamGroup([first, ...others], request);
    this.#enqueue(first);
    return group.sequences.map(({ events }) => events);
  }

  /**
   * Queues a blend; it starts when it can have a slot for each entry at once and its turn has come. A prompt that is to be scored is
   * computed a token a step.
   * @throws EngineError as `submit`, or `invalid_blend`
   */
  submitBlend(request: BlendRequest): Generation {
    checkBlend(request, this.#runner);
    const [own, ...others] = toEntryRequests(request);
    for (const one of [own, ...others]) this.#check(one);
    const first = this.#createSequence(own);
    if (isInstant(request)) finish(first, 'length');
    else {
      new BlendGroup([first, ...others.map((other) => this.#createSequence(other))], request);
      this.#enqueue(first);
    }
    return first.events;
  }

  /** As the function `countFitting`, by the limits and slots of this engine. */
  countFitting(requests: readonly EngineRequest[]): number {
    return countFitting(requests, this.#limits, this.#slots.total);
  }

  stats(): EngineStats {
    const { interactive, background } = this.#classes;
    const waiting = [...interactive.queue.sequences, ...background.queue.sequences];
    return {
      ...statsOf(waiting, this.#slots.held, this.#runner),
      waitingTokens: interactive.queue.tokens + background.queue.tokens,
      promptCacheBytes: this.#promptCache?.bytes ?? 0,
      draftTableBytes: this.#options.drafting?.bytes ?? 0,
    };
  }

  /** The engine's load, slot by slot. */
  snapshot(): EngineSnapshot {
    const { interactive, background } = this.#classes;
    return {
      ...this.stats(),
      waitingByClass: { interactive: interactive.queue.length, background: background.queue.length },
      slotStates: slotStatesOf(this.#slots.held, this.#slots.total),
    };
  }

  /** Tells `watcher` of everything that the engine's observer is told, until the returned function is called. */
  watch(watcher: EngineObserver): () => void {
    return this.#observation.watch(watcher);
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

  /**
   * @throws Error when the books do not add up: a slot lost, held twice or by a waiting sequence, a gap between rows, a source slot that
   * two requests use, or a group whose sequences are not in step
   */
  checkIntegrity(): void {
    this.#slots.checkIntegrity();
    for (const { queue } of Object.values(this.#classes)) queue.checkIntegrity();
    this.#promptCache?.checkIntegrity();
    if (!this.#loop && this.#hasWork) throw new Error('the engine sleeps although there is work');
  }

  get #hasWork(): boolean {
    return this.#numWaiting > 0 || this.#slots.held.length > 0;
  }

  get #numWaiting(): number {
    return this.#classes.interactive.queue.length + this.#classes.background.queue.length;
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
    await makeTransfers(this.#runner, this.#slots.settle());
    await this.#admit();
    const plan = schedule(this.#slots.held, chunkLimitsOf(this.#limits, this.#runner));
    const drafts = this.#options.drafting?.plan(plan);
    const input = toStepInput(plan, this.#runner.vocabularySize, drafts);
    const seconds = input === undefined ? 0 : await this.#compute(plan, input, drafts);
    if (plan.piece && plan.piece.sequence.status !== 'finished') await this.#encode(plan.piece, seconds);
    else if (input === undefined) this.#wakeups.flush();
  }

  /** @returns seconds that the forward pass took */
  async #compute(plan: Schedule<Sequence>, input: StepInput, drafts: Drafts | undefined): Promise<number> {
    await this.#appendPrefixes(plan);
    const start = this.#observation.now();
    const computing = this.#runner.step(input);
    this.#wakeups.flush(); // consumers of the last step's tokens work while this one is computed
    const output = await computing;
    const seconds = this.#observation.now() - start;
    this.#failures = 0;
    this.#options.drafting?.stepped(plan, drafts, seconds);
    const computed = this.#observation.stepped(plan, start);
    const onToken = (sequence: Sequence): void => this.#observation.tokenComputed(sequence, computed);
    for (const sequence of sampledSequences(plan)) {
      if (sequence.isRepeating) continue;
      this.#classes[sequence.priority].counters.add(sequence.tenant, outputCharge(sequence));
    }
    const { vocabularySize } = this.#runner;
    const onAccepted = this.#accepted.bind(this);
    const accept = { output, vocabularySize, drafts, onToken, onAccepted };
    const branches = await this.#wakeups.defer(() => acceptStepOutput(plan, accept));
    if (plan.chunk) await this.#promptCache?.keep(plan.chunk.sequence, this.#runner);
    await makeTransfers(this.#runner, startBranches(branches, this.#slots));
    return seconds;
  }

  /** The first of a sequence's tokens is charged for with its step, those of its draft as they come true. */
  #accepted(sequence: Sequence, { tokens, drafted, accepted }: AcceptedTokens): void {
    const { priority, tenant } = sequence;
    if (tokens > 1) this.#classes[priority].counters.add(tenant, (tokens - 1) * outputCharge(sequence));
    if (drafted > 0 && tokens > 0) this.#observation.verified(drafted, accepted);
    this.#options.drafting?.learn(sequence, { tokens, drafted, accepted });
  }

  async #encode(piece: ScheduledPiece<Sequence>, stepSeconds: number): Promise<void> {
    const start = this.#observation.now();
    const computing = encodePieces(piece, this.#runner.sources, stepSeconds, () => this.#observation.now());
    this.#wakeups.flush();
    await computing;
    this.#failures = 0;
    this.#observation.encoded(piece.sequence, start);
  }

  async #admit(): Promise<void> {
    const starting = [...this.#slots.groups].flatMap((group) => group.starting);
    if (this.#numWaiting === 0 && starting.length === 0) return;
    const { interactive, background } = this.#classes;
    const { preempted, admitted } = admit<Sequence, KvCopy>({
      waiting: { interactive: interactive.queue.sequences, background: background.queue.sequences },
      running: this.#slots.held,
      starting,
      slots: this.#slots.total,
      freeSlots: this.#slots.numFree,
      served: (tenant, priority) => this.#classes[priority].counters.of(tenant),
      findBlocks: ({ request }) => this.#promptCache?.find(request),
    });
    const moves = this.#preempt(preempted);
    await makeTransfers(this.#runner, [...moves, ...admitted.flatMap((admission) => this.#start(admission))]);
  }

  #start(admission: Admission<Sequence, KvCopy>): Transfer[] {
    const { sequence, source } = admission;
    const { counters } = this.#classes[sequence.priority];
    if (sequence.sequenceGroup[0] === sequence) this.#dequeue(sequence);
    if (source.from === 'cache') this.#promptCache?.use(sequence.request);
    const transfers = startAdmitted(admission, this.#slots);
    if (!sequence.wasPreempted) {
      counters.add(sequence.tenant, inputCharge(sequence));
      this.#observation.admitted(sequence);
    }
    return transfers;
  }

  /** Lets running sequences wait again, with their groups. A beam search begins anew; others keep their tokens and compute them again. */
  #preempt(preempted: readonly Sequence[]): SlotMove[] {
    const moves = preempted.flatMap((sequence) => this.#slots.release(sequence));
    for (const sequence of preempted) sequence.preempt();
    for (const first of new Set(preempted.map(({ sequenceGroup }) => sequenceGroup[0]))) {
      first.group?.restart();
      if (first.status === 'waiting') this.#classes[first.priority].enqueue(first);
    }
    return moves;
  }

  async #appendPrefixes({ decode, chunk }: Schedule<Sequence>): Promise<void> {
    for (const { isAtPrefix, slot, prefixIndex, request } of chunk ? [...decode, chunk.sequence] : decode) {
      if (!isAtPrefix || slot === undefined || prefixIndex === undefined || !request.prefix?.kv.length) continue;
      await makeTransfers(this.#runner, appends(slot, prefixIndex, request.prefix.kv));
    }
  }

  #failRunning(cause: unknown): void {
    this.#failures++;
    const error = new EngineError('runner_failed', 'The model failed to compute a step.', { cause });
    for (const sequence of this.#slots.held.flatMap(({ sequenceGroup }) => sequenceGroup)) {
      sequence.events.fail(error);
      sequence.end('error');
    }
    this.#wakeups.flush();
    this.#slots.clear();
  }

  #createSequence(request: GenerationRequest): Sequence {
    const sequence: Sequence = new Sequence(request, {
      seed: request.sampling.seed ?? randomSeed(),
      endTokens: new Set([...(request.ignoreEos ? [] : this.#options.eosTokenIds), ...request.stopTokenIds]),
      text: new OutputText(this.#options.tokenizer, request),
      events: new EventStream(() => this.#cancel(sequence), this.#wakeups.call),
      submittedAt: this.#observation.now(),
      onEnd: (ended) => this.#observation.ended(ended),
    });
    return sequence;
  }

  #enqueue(sequence: Sequence): void {
    const work = this.#classes[sequence.priority];
    const full = work.queue.whatIsFull(sequence, this.#numFreeFor(sequence.priority));
    if (full === 'queue') throw new EngineError('queue_full', 'Too many requests are waiting.');
    if (full === 'tenant') throw new EngineError('tenant_queue_full', 'Too many requests of this tenant are waiting.');
    work.enqueue(sequence);
    sequence.observer = sequence.request.observe?.();
    this.#loop ??= this.#run();
  }

  #dequeue(sequence: Sequence): void {
    this.#classes[sequence.priority].dequeue(sequence);
  }

  /** Slots that sequences of a class may take now. */
  #numFreeFor(priority: Priority): number {
    if (priority === 'background') return Math.max(0, this.#slots.numFree - reservedSlots(this.#slots.total));
    const held = this.#slots.held.filter((sequence) => sequence.priority === 'background');
    return held.reduce((free, { numSlots }) => free + numSlots, this.#slots.numFree);
  }

  #check(request: GenerationRequest | BeamRequest): void {
    if (this.#isDraining) throw new EngineError('shutting_down', 'The server is shutting down.');
    checkRequest(request, this.#runner);
  }

  /** A waiting sequence leaves at once, a running one gives its slot back before the next step. */
  #cancel(sequence: Sequence): void {
    for (const one of sequence.sequenceGroup) {
      this.#dequeue(one);
      finish(one, 'abort');
    }
  }
}
