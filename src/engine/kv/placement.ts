import type { Branch } from '../beams/beam-group.js';
import { BLOCK_TOKENS, isCacheable, type PromptCache } from './prompt-cache.js';
import type { Sequence } from '../sequence.js';
import { findSource, sharePrompt } from '../policy/siblings.js';
import type { Transfer } from './transfers.js';
import type { SlotMove, Slots } from './slots.js';

/**
 * Gives an admitted sequence its slot and what there is of its prompt: all but the last token from a sibling that has computed it,
 * else what the prompt cache has.
 * @returns what is to be done before the next step, in order
 */
export function place(sequence: Sequence, slots: Slots, promptCache?: PromptCache): Transfer[] {
  const source = findSource(sequence, slots.held);
  if (source === undefined) return placeCached(sequence, slots, promptCache);
  sharePrompt(source, sequence);
  return [...slots.allocate(sequence), ...copyKv(source, sequence)];
}

function placeCached(sequence: Sequence, slots: Slots, promptCache: PromptCache | undefined): Transfer[] {
  const { request } = sequence;
  if (promptCache === undefined || !isCacheable(request)) return slots.allocate(sequence);
  const blocks = promptCache.take(request);
  sequence.numCachedTokens = blocks.length * BLOCK_TOKENS;
  sequence.numComputedTokens = sequence.numCachedTokens;
  const moves = slots.allocate(sequence);
  const { slot: to } = sequence;
  if (to === undefined || blocks.length === 0) return moves;
  // A prefix is written where its token is next to be computed; these tokens are behind it.
  const { prefix } = request;
  const virtual = prefix?.placement === 'prefix' ? [{ to, at: 0, kv: prefix.kv }] : [];
  const writes = blocks.map((block, index) => ({ to, at: sequence.positionOf(index * BLOCK_TOKENS), block }));
  return [...moves, ...virtual, ...writes];
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
