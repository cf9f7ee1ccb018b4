import type { Sequence } from '../sequence.js';
import type { SequenceGroup } from '../sequence-group.js';

/** Copy of keys and values: the first `length` positions of slot `from` to slot `to`. */
export interface SlotMove {
  readonly from: number;
  readonly to: number;
  readonly length: number;
  /** Leading positions that the two slots have alike already; 0 unless given. */
  readonly shared?: number;
}

/**
 * KV slots and the sequences that hold them, and the source slots that these use. Decode rows are dense: row i is in slot i. Sequences
 * in prefill are in slots behind them: at most one, or a background one in the last slot while an interactive one goes first. A
 * source never moves.
 * Methods return the copies that follow; those of one call, then of the next, are to be made in order before the next step.
 */
export class Slots {
  readonly #rows: Sequence[] = [];
  readonly #prefilling: Sequence[] = [];

  constructor(readonly total: number) {}

  /** Decode rows, in the order of their slots. */
  get rows(): readonly Sequence[] {
    return this.#rows;
  }

  /** Every sequence that holds a slot: the decode rows, then those in prefill. */
  get held(): readonly Sequence[] {
    return [...this.#rows, ...this.#prefilling];
  }

  /** Beam searches and blends of which a sequence holds a slot, and which have not ended. */
  get groups(): ReadonlySet<SequenceGroup<Sequence>> {
    return new Set(this.held.flatMap(({ group, status }) => (status === 'finished' ? [] : (group ?? []))));
  }

  /** Number of slots that nobody holds and that are not kept for beams. */
  get numFree(): number {
    return this.total - this.held.reduce((held, { numSlots }) => held + numSlots, 0);
  }

  /** Whether a sequence could start now: as a decode row when one token remains to compute, else in prefill. */
  canAllocate({ numRemainingTokens, numSlots, priority }: Sequence): boolean {
    if (this.numFree < numSlots) return false;
    const [other] = this.#prefilling;
    if (numRemainingTokens === 1 || other === undefined) return true;
    return this.#prefilling.length === 1 && priority === 'interactive' && other.priority === 'background';
  }

  /** Gives a sequence its slot. Ask `canAllocate` first. */
  allocate(sequence: Sequence): SlotMove[] {
    if (!this.canAllocate(sequence)) throw new Error('no slot is free');
    if (sequence.request.source !== undefined) sequence.sourceSlot ??= this.#findSourceSlot();
    const slot = this.#rows.length;
    if (sequence.numRemainingTokens > 1) {
      // The one that pauses is out of the way in the last slot: rows end before it while the other one is in prefill.
      const moves = this.#prefilling.flatMap((paused) => moveTo(paused, this.total - 1));
      sequence.slot = slot;
      this.#prefilling.push(sequence);
      return moves;
    }
    const inTheWay = this.#prefilling.find((one) => one.slot === slot);
    const moves = inTheWay ? moveTo(inTheWay, slot + 1) : [];
    sequence.slot = slot;
    this.#rows.push(sequence);
    return moves;
  }

  /** Takes the slots of finished sequences back and makes those whose prefill is over decode rows. */
  settle(): SlotMove[] {
    const moves = [...this.#prefilling].flatMap((sequence) => this.#settlePrefill(sequence));
    // From the last row down: a row that fills a gap then never leaves itself.
    for (const sequence of this.#rows.toReversed()) {
      if (sequence.status === 'finished') moves.push(...this.release(sequence));
    }
    return moves;
  }

  /** Takes a sequence's slot back. */
  release(sequence: Sequence): SlotMove[] {
    sequence.leaveSlot();
    const prefill = this.#prefilling.indexOf(sequence);
    if (prefill >= 0) {
      this.#prefilling.splice(prefill, 1);
      return [];
    }
    const gap = this.#rows.indexOf(sequence);
    const last = this.#rows.pop();
    if (last === undefined || last === sequence) return [];
    this.#rows[gap] = last;
    return moveTo(last, gap);
  }

  /** Takes every slot back. */
  clear(): void {
    for (const sequence of this.held) sequence.leaveSlot();
    this.#rows.length = 0;
    this.#prefilling.length = 0;
  }

  /**
   * @throws Error unless each held slot has one sequence that knows it, decode rows are dense, each source slot is of one request, and the
   * books of each group add up
   */
  checkIntegrity(): void {
    this.#rows.forEach((sequence, row) => {
      if (sequence.slot !== row) throw new Error(`decode row ${row} believes to be in slot ${String(sequence.slot)}`);
    });
    const slots = this.#prefilling.map(({ slot = this.total }) => slot);
    for (const slot of slots) {
      if (slot < this.#rows.length) throw new Error(`slot ${slot} is in prefill, but among the decode rows`);
      if (slot >= this.total) throw new Error('a sequence is in prefill without a slot');
    }
    if (new Set(slots).size < slots.length) throw new Error(`slot ${String(slots[0])} is in prefill twice`);
    if (this.numFree < 0) throw new Error(`${this.total - this.numFree} slots are held or kept of ${this.total}`);
    this.#checkSources();
    for (const group of this.groups) group.checkIntegrity();
  }

  /** The lowest source slot that no sequence uses: there are as many as slots, and no sequence uses two. */
  #findSourceSlot(): number {
    const used = new Set(this.held.map(({ sourceSlot }) => sourceSlot));
    let slot = 0;
    while (used.has(slot)) slot++;
    return slot;
  }

  #checkSources(): void {
    const users = new Map<number, Sequence>();
    for (const sequence of this.held) {
      const { sourceSlot, request } = sequence;
      if (sourceSlot === undefined && request.source === undefined) continue;
      if (sourceSlot === undefined) throw new Error('a sequence holds a slot, but no source slot');
      if (sourceSlot >= this.total) throw new Error(`source slot ${sourceSlot} is used of ${this.total}`);
      const other = users.get(sourceSlot) ?? sequence;
      if (!isOfOneRequest(sequence, other)) throw new Error(`source slot ${sourceSlot} is used by two requests`);
      users.set(sourceSlot, sequence);
    }
  }

  #settlePrefill(sequence: Sequence): SlotMove[] {
    if (sequence.status === 'finished') return this.release(sequence);
    if (sequence.numRemainingTokens > 1) return [];
    this.#prefilling.splice(this.#prefilling.indexOf(sequence), 1);
    this.#rows.push(sequence);
    return moveTo(sequence, this.#rows.length - 1);
  }
}

function isOfOneRequest(one: Sequence, other: Sequence): boolean {
  if (one === other) return true;
  if (one.sequenceGroup[0] === other.sequenceGroup[0] && one.group?.isBlend === false) return true;
  return one.promptGroup !== undefined && one.promptGroup === other.promptGroup;
}

function moveTo(sequence: Sequence, to: number): SlotMove[] {
  const from = sequence.slot;
  sequence.slot = to;
  return from === undefined || from === to || sequence.kvLength === 0 ? [] : [{ from, to, length: sequence.kvLength }];
}
