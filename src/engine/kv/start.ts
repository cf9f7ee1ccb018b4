import { partsOf, type PrefixKv } from '../../prefix/kv.js';
import type { Admission } from '../policy/admission.js';
import type { KvCopy } from '../runner.js';
import type { Branch } from '../sequence-group.js';
import type { Sequence } from '../sequence.js';
import { BLOCK_TOKENS } from './prompt-cache.js';
import type { SlotMove, Slots } from './slots.js';
import type { SlotAppend, Transfer } from './transfers.js';

/**
 * Gives an admitted sequence its slot, and what its source has of its prompt.
 * @returns transfers to be made before the next step, in order
 */
export function startAdmitted({ sequence, source }: Admission<Sequence, KvCopy>, slots: Slots): Transfer[] {
  const [first] = sequence.sequenceGroup;
  if (first !== sequence) first.numSlots -= 1; // it kept one for this sequence
  if (source.from === 'promptGroup') {
    sharePrompt(source.sequence, sequence);
    return [...slots.allocate(sequence), ...copyKv(source.sequence, sequence)];
  }
  if (source.from === 'none') return slots.allocate(sequence);
  sequence.numComputedTokens = source.numTokens;
  sequence.numCachedTokens ??= source.numTokens;
  return [...slots.allocate(sequence), ...writeBlocks(source.blocks, sequence)];
}

/**
 * Lets beams go on from others; those that begin now get the slots that were kept for them.
 * @returns copies to be made before the next step, in order
 */
export function startBranches(branches: readonly Branch<Sequence>[], slots: Slots): SlotMove[] {
  if (branches.length === 0) return [];
  // A search begins when the prompt's prefill is over: first its sequence becomes a row.
  const moves = slots.settle();
  for (const { parent, child, numSharedTokens } of branches) {
    child.shareSource(parent);
    if (child.slot === undefined) moves.push(...slots.allocate(child));
    moves.push(...copyKv(parent, child, numSharedTokens));
  }
  return moves;
}

/**
 * Books all of another sequence's prompt but its last token as computed, and its source as encoded, and sends the scores if they are
 * asked for.
 */
function sharePrompt(source: Sequence, sequence: Sequence): void {
  sequence.shareSource(source);
  sequence.numComputedTokens = sequence.request.prompt.length - 1;
  if (!sequence.isPromptScored) return;
  sequence.sendPromptScores(source.sequenceGroup[0].promptScores.slice(sequence.promptScores.length));
}

function writeBlocks(blocks: readonly KvCopy[], sequence: Sequence): Transfer[] {
  const { slot: to, request } = sequence;
  if (to === undefined || blocks.length === 0) return [];
  // A prefix is written where its token is next to be computed; these tokens are behind it.
  const virtual = request.prefix?.placement === 'prefix' ? appends(to, 0, request.prefix.kv) : [];
  const writes = blocks.map((block, index) => ({ to, at: sequence.positionOf(index * BLOCK_TOKENS), block }));
  return [...virtual, ...writes];
}

/** Writes of a prefix's virtual tokens into a slot, from position `at` on: one for each prefix of a composition, where it has any there. */
export function appends(to: number, at: number, kv: PrefixKv): SlotAppend[] {
  let next = at;
  return partsOf(kv).flatMap((part) => {
    const append = { to, at: next, kv: part };
    next += part.length;
    return part.length > 0 ? [append] : [];
  });
}

/**
 * Copy that gives a sequence all keys and values that it is to have of another one's.
 * @param numSharedTokens leading tokens whose keys and values both have
 */
function copyKv(source: Sequence, sequence: Sequence, numSharedTokens = 0): SlotMove[] {
  const { slot, kvLength } = sequence;
  if (source.slot === undefined || slot === undefined || kvLength === 0) return [];
  const shared = numSharedTokens === 0 ? 0 : sequence.positionOf(numSharedTokens - 1) + 1;
  return [{ from: source.slot, to: slot, length: kvLength, shared }];
}
