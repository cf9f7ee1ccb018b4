import type { Sequence } from '../sequence.js';

/** Keys and values to copy: the first `length` positions of slot `from` to slot `to`. */
export interface SlotMove {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/**
 * Who holds which KV slot. Decode rows are dense: row i is in slot i. The one sequence in prefill is in any slot behind them.
 * What must be copied for that is returned; the moves of one call, then of the next, are to be made in order before the next step.
 */
export class Slots {
  readonly #rows: Sequence[] = [];
  #prefilling: Sequence | undefined;

  constructor(readonly total: number) {}

  /** The decode rows, in the order of their slots. */
  get rows(): readonly Sequence[] {
    return this.#rows;
  }

  /** Every sequence that holds a slot: the decode rows, then the one in prefill. */
  get held(): readonly Sequence[] {
    return this.#prefilling === undefined ? this.#rows : [...this.#rows, this.#prefilling];
  }

  /** Slots that nobody holds and that are not kept for beams. */
  get numFree(): number {
    return this.total - this.held.reduce((held, { numSlots }) => held + numSlots, 0);
  }

  /** Whether a sequence could start now: as a decode row when one token remains to compute, else in prefill. */
  canAllocate(numRemainingTokens: number, numSlots = 1): boolean {
    return this.numFree >= numSlots && (numRemainingTokens === 1 || this.#prefilling === undefined);
  }

  /** Gives a sequence its slot. Ask `canAllocate` first. */
  allocate(sequence: Sequence): SlotMove[] {
    if (!this.canAllocate(sequence.numRemainingTokens, sequence.numSlots)) throw new Error('no slot is free');
    const slot = this.#rows.length;
    if (sequence.numRemainingTokens > 1) {
      sequence.slot = slot;
      this.#prefilling = sequence;
      return [];
    }
    const moves = this.#prefilling?.slot === slot ? moveTo(this.#prefilling, slot + 1) : [];
    sequence.slot = slot;
    this.#rows.push(sequence);
    return moves;
  }

  /** Takes the slots of finished sequences back and makes the one whose prefill is over a decode row. */
  settle(): SlotMove[] {
    const moves = this.#promote();
    // From the last row down: a row that fills a gap then never leaves itself.
    for (const sequence of this.#rows.toReversed()) {
      if (sequence.status === 'finished') moves.push(...this.#release(sequence));
    }
    return moves;
  }

  /** Takes every slot back. */
  clear(): void {
    for (const sequence of this.held) sequence.slot = undefined;
    this.#rows.length = 0;
    this.#prefilling = undefined;
  }

  /** @throws Error unless each held slot has one sequence that knows it, and decode rows are dense. */
  checkIntegrity(): void {
    this.#rows.forEach((sequence, row) => {
      if (sequence.slot !== row) throw new Error(`decode row ${row} believes to be in slot ${String(sequence.slot)}`);
    });
    const { slot = this.total } = this.#prefilling ?? { slot: this.#rows.length };
    if (slot < this.#rows.length) throw new Error(`slot ${slot} is in prefill, but among the decode rows`);
    if (this.#prefilling && slot >= this.total) throw new Error('a sequence is in prefill without a slot');
    if (this.numFree < 0) throw new Error(`${this.total - this.numFree} slots are held or kept of ${this.total}`);
  }

  #promote(): SlotMove[] {
    const sequence = this.#prefilling;
    if (sequence === undefined) return [];
    if (sequence.status !== 'finished' && sequence.numRemainingTokens > 1) return [];
    this.#prefilling = undefined;
    if (sequence.status === 'finished') {
      sequence.slot = undefined;
      return [];
    }
    this.#rows.push(sequence);
    return moveTo(sequence, this.#rows.length - 1);
  }

  #release(sequence: Sequence): SlotMove[] {
    const gap = this.#rows.indexOf(sequence);
    const last = this.#rows.pop();
    sequence.slot = undefined;
    if (last === undefined || last === sequence) return [];
    this.#rows[gap] = last;
    return moveTo(last, gap);
  }
}

function moveTo(sequence: Sequence, to: number): SlotMove[] {
  const from = sequence.slot;
  sequence.slot = to;
  return from === undefined || from === to || sequence.kvLength === 0 ? [] : [{ from, to, length: sequence.kvLength }];
}
