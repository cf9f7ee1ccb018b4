import type { Priority } from '../priority.js';
import { inputCharge } from './fair-share.js';
import { findPromptSource, type PromptSharer } from './prompt-group.js';

/** A waiting or running sequence as the policy of admission sees it. */
export interface Admissible extends PromptSharer {
  readonly tenant: string;
  /** Weight of the tenant, above 0. */
  readonly weight: number;
  /** Tokens of source and prompt. */
  readonly numPromptTokens: number;
  /** Tokens that have no keys and values yet, the source's among them; at least one. */
  readonly numRemainingTokens: number;
  readonly numComputedTokens: number;
  /** Whether the source is encoded, and all of the prompt but its last token has keys and values. */
  readonly isPromptComputed: boolean;
  /** Slots that it needs or holds: one, or more when others will go on from it. */
  readonly numSlots: number;
  /** Sequences that run and end together with it. */
  readonly sequenceGroup: readonly unknown[];
}

/** Blocks of the prompt cache that a prompt begins with. */
export interface CachedBlocks<B> {
  readonly blocks: readonly B[];
  /** Tokens in all of them. */
  readonly numTokens: number;
}

/** Where an admitted sequence's first keys and values come from. */
type PromptSource<S, B> =
  | { readonly from: 'none' }
  /** A sequence of its prompt group that runs, or is admitted before it: its source is shared, and all of the prompt but its last token is copied. */
  | { readonly from: 'promptGroup'; readonly sequence: S }
  | ({ readonly from: 'cache' } & CachedBlocks<B>);

/** A waiting sequence that gets a slot now, and where it starts. */
export interface Admission<S, B> {
  readonly sequence: S;
  readonly source: PromptSource<S, B>;
}

/** Who gets slots now, and who gives them up. */
export interface AdmissionPlan<S, B> {
  /** Background sequences that go back to the queue first, each with its whole sequence group. */
  readonly preempted: readonly S[];
  /** In this order. */
  readonly admitted: readonly Admission<S, B>[];
}

export interface AdmissionState<S extends Admissible, B> {
  /** Of each class, in the order in which they came. */
  readonly waiting: Readonly<Record<Priority, readonly S[]>>;
  /** Sequences that hold a slot. */
  readonly running: readonly S[];
  /** Sequences for which a running one of their group keeps a slot each. They go before all that wait for one. */
  readonly starting: readonly S[];
  readonly slots: number;
  /** Slots that nobody holds and that are not kept for beams. */
  readonly freeSlots: number;
  /** Service that a tenant has had in a class, over its weight (`VirtualCounters`). */
  readonly served: (tenant: string, priority: Priority) => number;
  /** Looks a waiting sequence's prompt up in the prompt cache; undefined where it may not be used. */
  readonly findBlocks: (sequence: S) => CachedBlocks<B> | undefined;
}

/** Slots that background work leaves free beside interactive work: an eighth, and at least one. */
export function reservedSlots(slots: number): number {
  return Math.max(1, Math.floor(slots / 8));
}

/**
 * Policy of admission. In each class, while a slot is free, the tenant that was served least is next, and nobody overtakes one that
 * waits for another's prefill or for more slots than are free.
 *
 * Interactive sequences are admitted as if there were no background work: it gives up its slots where too few are free, and its
 * prefill is no reason to wait. Background sequences are admitted when nothing interactive waits, one prefill at a time, and leave
 * `reservedSlots` free while anything interactive runs. One that needs more slots than that leaves to all background work is overtaken:
 * nobody knows when it can start.
 */
export function admit<S extends Admissible, B>(state: AdmissionState<S, B>): AdmissionPlan<S, B> {
  const round = new AdmissionRound(state);
  if (round.admitAll('interactive')) round.admitAll('background');
  return { preempted: round.preempted, admitted: round.admitted };
}

/** Whose turn it is: of the tenants that wait, the one served least; of its sequences, and of tenants that are even, the first to come. */
export function pickNext<S extends Pick<Admissible, 'tenant'>>(
  waiting: readonly S[],
  served: (tenant: string) => number,
): S | undefined {
  return waiting.reduce<S | undefined>(
    (best, next) => (best !== undefined && served(best.tenant) <= served(next.tenant) ? best : next),
    undefined,
  );
}

class AdmissionRound<S extends Admissible, B> {
  readonly admitted: Admission<S, B>[] = [];
  preempted: readonly S[] = [];
  #free: number;

  constructor(private readonly state: AdmissionState<S, B>) {
    this.#free = state.freeSlots;
  }

  /** Admits sequences of a class; returns whether none of it is left waiting. */
  admitAll(priority: Priority): boolean {
    let rest = this.#possible(priority);
    const charges = new Map<string, number>();
    const served = (tenant: string): number => this.state.served(tenant, priority) + (charges.get(tenant) ?? 0);
    let hasPrefill = this.#running.some((one) => isPrefilling(one) && isInTheWay(one, priority));
    if (priority === 'background') hasPrefill ||= this.admitted.some(isPrefillOf);
    for (const next of this.#startingOf(priority)) {
      const admission = { sequence: next, source: this.#sourceOf(next) };
      const isPrefill = isPrefillOf(admission);
      if (isPrefill && hasPrefill) return rest.length === 0;
      hasPrefill ||= isPrefill;
      this.admitted.push(admission);
    }
    while (rest.length > 0 && this.#hasRoom(priority, 1)) {
      const next = pickNext(rest, served);
      if (next === undefined || !this.#hasRoom(priority, next.numSlots)) break;
      const admission = { sequence: next, source: this.#sourceOf(next) };
      const isPrefill = isPrefillOf(admission);
      if (isPrefill && hasPrefill) break;
      hasPrefill ||= isPrefill;
      this.#take(admission);
      const charge = inputCharge({ weight: next.weight, numRemainingTokens: numToCompute(admission) });
      charges.set(next.tenant, (charges.get(next.tenant) ?? 0) + charge);
      rest = rest.filter((one) => one !== next);
    }
    return rest.length === 0;
  }

  #startingOf(priority: Priority): readonly S[] {
    const isPreempted = (one: S): boolean => this.preempted.some(({ sequenceGroup }) => sequenceGroup.includes(one));
    return this.state.starting.filter((one) => one.priority === priority && !isPreempted(one));
  }

  get #running(): readonly S[] {
    return this.state.running.filter((sequence) => !this.preempted.includes(sequence));
  }

  /** Waiting sequences of a class that can start as soon as others of the class end, or at once. */
  #possible(priority: Priority): readonly S[] {
    const waiting = this.state.waiting[priority];
    if (priority === 'interactive' || waiting.length === 0) return waiting;
    const most = this.#free + this.#numToPreempt() - this.#numReserved;
    return waiting.filter(({ numSlots }) => numSlots <= most);
  }

  #hasRoom(priority: Priority, numSlots: number): boolean {
    if (priority === 'interactive') return this.#free + this.#numToPreempt() >= numSlots;
    return this.#free - numSlots >= this.#numReserved;
  }

  /** Slots that background work leaves free now. */
  get #numReserved(): number {
    const others = [...this.#running, ...this.admitted.map(({ sequence }) => sequence)];
    const isAlone = others.every((one) => one.priority === 'background');
    return isAlone ? 0 : reservedSlots(this.state.slots);
  }

  /** Slots that background sequences hold. */
  #numToPreempt(): number {
    return this.#running.reduce((sum, one) => sum + (one.priority === 'background' ? one.numSlots : 0), 0);
  }

  #take(admission: Admission<S, B>): void {
    const { numSlots } = admission.sequence;
    while (this.#free < numSlots) this.#preemptOne();
    this.#free -= numSlots;
    this.admitted.push(admission);
  }

  /** Takes the slots of the background sequence that has the least to compute again, with its group. */
  #preemptOne(): void {
    const [first, ...others] = this.#running.filter(({ priority }) => priority === 'background');
    if (first === undefined) throw new Error('no background sequence is left');
    const victim = others.reduce(
      (least, one) => (one.numComputedTokens < least.numComputedTokens ? one : least),
      first,
    );
    const group = this.#running.filter((one) => one === victim || victim.sequenceGroup.includes(one));
    this.preempted = [...this.preempted, ...group];
    this.#free += group.reduce((sum, one) => sum + one.numSlots, 0);
  }

  /** Sequences whose slots have all of their prompts but the last token, before the step. */
  get #withPrompt(): readonly S[] {
    const placed = this.admitted.filter((one) => numFromSource(one) >= one.sequence.numPromptTokens - 1);
    return [...this.#running.filter((one) => one.isPromptComputed), ...placed.map(({ sequence }) => sequence)];
  }

  #sourceOf(sequence: S): PromptSource<S, B> {
    const source = findPromptSource(sequence, this.#withPrompt);
    if (source !== undefined) return { from: 'promptGroup', sequence: source };
    const found = this.state.findBlocks(sequence);
    return found === undefined ? { from: 'none' } : { from: 'cache', ...found };
  }
}

function isPrefilling({ numRemainingTokens }: Pick<Admissible, 'numRemainingTokens'>): boolean {
  return numRemainingTokens > 1;
}

/** Whether the prefill of one sequence keeps those of a class waiting. */
function isInTheWay({ priority }: Admissible, of: Priority): boolean {
  return priority === 'interactive' || of === 'background';
}

function isPrefillOf<S extends Admissible, B>(admission: Admission<S, B>): boolean {
  return numToCompute(admission) > 1;
}

/** Tokens that an admitted sequence has to compute before it generates. */
function numToCompute<S extends Admissible, B>(admission: Admission<S, B>): number {
  return admission.sequence.numRemainingTokens - numFromSource(admission);
}

/** Tokens whose keys and values an admitted sequence gets from its source. */
function numFromSource<S extends Admissible, B>({ sequence, source }: Admission<S, B>): number {
  if (source.from === 'none') return 0;
  return source.from === 'cache' ? source.numTokens : sequence.numPromptTokens - 1;
}
