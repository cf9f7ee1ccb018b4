import type { SlotState } from './observer.js';
import type { Sequence } from './sequence.js';

const FREE: SlotState = { state: 'free', tenant: undefined, priority: undefined, positions: 0 };

/**
 * What each of `total` slots is used for.
 * @param held sequences that hold slots; one that is finished counts as gone
 */
export function slotStatesOf(held: readonly Sequence[], total: number): SlotState[] {
  const states = Array.from({ length: total }, () => FREE);
  const running = held.filter(({ status }) => status === 'running');
  for (const sequence of running) if (sequence.slot !== undefined) states[sequence.slot] = stateOf(sequence);
  const reserved = running.flatMap(({ numSlots, tenant, priority }) =>
    Array.from({ length: numSlots - 1 }, (): SlotState => ({ state: 'reserved', tenant, priority, positions: 0 })),
  );
  for (let slot = total - 1; slot >= 0 && reserved.length > 0; slot--)
    if (states[slot] === FREE) states[slot] = reserved.pop() as SlotState;
  return states;
}

function stateOf({ numRemainingTokens, tenant, priority, numPositions }: Sequence): SlotState {
  const state = numRemainingTokens > 1 ? 'prefill' : 'decode';
  return { state, tenant, priority, positions: numPositions };
}
