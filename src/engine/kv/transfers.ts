import type { PrefixKv } from '../../prefix/kv.js';
import type { KvCopy, ModelRunner } from '../runner.js';
import type { SlotMove } from './slots.js';

/** A block of the prompt cache to write into a slot, at the positions from `at` on. */
interface SlotWrite {
  readonly to: number;
  readonly at: number;
  readonly block: KvCopy;
}

/** Virtual tokens to write into a slot, at the positions from `at` on. */
export interface SlotAppend {
  readonly to: number;
  readonly at: number;
  readonly kv: PrefixKv;
}

/** Change of a slot between two steps. */
export type Transfer = SlotMove | SlotWrite | SlotAppend;

/** Makes transfers in order: a later one may move what an earlier one has written. */
export async function makeTransfers(runner: ModelRunner, transfers: readonly Transfer[]): Promise<void> {
  for (const one of transfers) {
    if ('block' in one) await runner.writeSlot(one.to, one.at, one.block);
    else if ('kv' in one) await runner.append(one.to, one.at, one.kv);
    else await runner.copySlot(one.from, one.to, one.length, one.shared);
  }
}
