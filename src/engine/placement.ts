import type { Branch } from './beam-group.js';
import type { Sequence } from './sequence.js';
import { findSource, sharePrompt } from './siblings.js';
import type { SlotMove, Slots } from './slots.js';

/**
 * Gives an admitted sequence its slot and, where a sibling has computed the prompt, that.
 * @returns what is to be copied before the next step, in order
 */
export function place(sequence: Sequence, slots: Slots): SlotMove[] {
  const source = findSource(sequence, slots.held);
  if (source === undefined) return slots.allocate(sequence);
  sharePrompt(source, sequence);
  return [...slots.allocate(sequence), ...copyKv(source, sequence)];
}

/**
 * Lets beams go on from others; those that begin now get the slots that were kept for them.
 * @returns what is to be copied before the next step, in order
 */
export function placeBranches(branches: readonly Branch[], slots: Slots): SlotMove[] {
  if (branches.length === 0) return [];
  // A search begins when the prompt's prefill is over: first its sequence becomes a row.
  const moves = slots.settle();
  for (const { parent, child } of branches) {
    if (child.slot === undefined) moves.push(...slots.allocate(child));
    moves.push(...copyKv(parent, child));
  }
  return moves;
}

/** The copy that gives a sequence all keys and values that it is to have of another one's. */
function copyKv(source: Sequence, { slot, kvLength }: Sequence): SlotMove[] {
  if (source.slot === undefined || slot === undefined || kvLength === 0) return [];
  return [{ from: source.slot, to: slot, length: kvLength }];
}
