import type { KvCopy } from '../../../engine/runner.js';
import type { Binding } from '../../../runtime/ort/session.js';
import type { AttentionGroup } from '../../graph-names.js';

/** The slots that a run reads and writes. */
export interface SlotUse {
  /** Number of decoding slots: slots 0 to n - 1. */
  readonly rows: number;
  /** One more, by itself. */
  readonly single?: {
    readonly slot: number;
    /** Positions in it that the run reads. */
    readonly past: number;
  };
}

/** Keys and values of some positions of a slot, in the CPU's memory whatever the arena's is. */
export class ArenaCopy implements KvCopy {
  constructor(
    readonly length: number,
    /** Bytes of `[2 * layers, kvHeads, length, headDim]`. */
    readonly values: Uint8Array,
  ) {}

  get bytes(): number {
    return this.values.length;
  }
}

/**
 * Keys and values of all slots: for each layer one tensor of keys and one of values, `[slots, kvHeads, context, headDim]`.
 * Allocated once; sessions update it in place.
 */
export interface KvArena {
  /** Brings the slots of the next run to where they can be bound. */
  prepare(use: SlotUse): Promise<void>;
  /**
   * Binds slots `first` to `first + count - 1`, which `prepare` was told of, as the past of an attention group and the present of
   * each of its nodes.
   */
  bind(binding: Binding, group: AttentionGroup, first: number, count: number, nodes: number): void;
  /**
   * Copies the first `length` positions of a slot to another one; what follows them in that one is lost.
   * @param shared leading positions that both have alike, which may be left out
   */
  copy(from: number, to: number, length: number, shared?: number): Promise<void>;
  /** Copies `length` positions from `from` on out of a slot. */
  read(slot: number, from: number, length: number): Promise<ArenaCopy>;
  /** Copies what `read` returned, of an arena of the same layout, into a slot, at the positions from `from` on. */
  write(slot: number, from: number, copy: ArenaCopy): Promise<void>;
  dispose(): void;
}
