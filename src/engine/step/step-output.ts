import { setImmediate } from 'node:timers/promises';

import type { AcceptedTokens, Drafts } from '../drafting/draft-planner.js';
import type { Branch, SequenceGroup } from '../sequence-group.js';
import { readRow } from '../sampling/logits-row.js';
import { emitNextToken, emitPromptTokens } from './next-token.js';
import type { StepOutput } from '../runner.js';
import type { Schedule, ScheduledChunk } from '../policy/schedule.js';
import type { Sequence } from '../sequence.js';

/** What a step has computed, and who hears of it. */
interface Computed {
  readonly output: StepOutput;
  readonly vocabularySize: number;
  /** Verified by the step, for each decode row. */
  readonly drafts: Drafts | undefined;
  /** Called for each token that the step has for a sequence, before it is chosen. */
  readonly onToken: (sequence: Sequence) => void;
  /** Called once a sequence has its tokens, unless it is part of a beam search. */
  readonly onAccepted: (sequence: Sequence, accepted: AcceptedTokens) => void;
}

/** Prompt tokens that are ranked in one turn of the event loop: each compares a whole vocabulary. */
const RANKED_A_TURN = 16;

/**
 * Books what the step of a schedule computed, and sends each sequence its next tokens and its prompt's scores. Other work of the process
 * gets its turn behind each row of which the whole vocabulary was read.
 * @returns beams that go on from others'
 */
export async function acceptStepOutput(
  { decode, chunk }: Schedule<Sequence>,
  computed: Computed,
): Promise<Branch<Sequence>[]> {
  let firstRow = 0;
  for (const [row, sequence] of decode.entries()) {
    const draft = computed.drafts?.[row] ?? [];
    await acceptRow(sequence, draft, computed, firstRow);
    firstRow += 1 + draft.length;
  }
  if (chunk) await acceptChunk(chunk, computed, firstRow);
  const sequences = [...decode, ...(chunk ? [chunk.sequence] : [])];
  return advanceGroups(new Set(sequences.flatMap(({ group }) => group ?? [])), computed.onToken);
}

/** A blend reads whole vocabularies as it goes on: others get their turn behind it. */
async function advanceGroups(
  groups: ReadonlySet<SequenceGroup<Sequence>>,
  onToken: Computed['onToken'],
): Promise<Branch<Sequence>[]> {
  const branches: Branch<Sequence>[] = [];
  for (const group of groups) {
    if (group.sequences.every(({ status }) => status === 'finished')) continue; // cancelled meanwhile
    branches.push(...group.advance(onToken));
    if (group.isBlend) await setImmediate();
  }
  return branches;
}

/**
 * Chooses the tokens behind the last one of a sequence and behind those of its draft, each as if it were alone in its step, while the
 * token that was chosen is the one drafted. What is computed behind the first other one is of no use, and not counted as computed.
 */
async function acceptRow(
  sequence: Sequence,
  draft: readonly number[],
  computed: Computed,
  firstRow: number,
): Promise<void> {
  const before = sequence.tokens.length;
  for (let row = 0; row <= draft.length; row++) {
    sequence.numComputedTokens += 1;
    await emit(sequence, computed, firstRow + row);
    if (sequence.status === 'finished' || sequence.tokens.at(-1) !== draft[row]) break;
  }
  if (sequence.group !== undefined) return;
  const tokens = sequence.tokens.slice(before);
  const rejected = draft.findIndex((id, i) => id !== tokens[i]);
  const accepted = rejected < 0 ? draft.length : rejected;
  computed.onAccepted(sequence, { tokens: tokens.length, drafted: draft.length, accepted });
}

/** @param firstRow the row of the chunk's first token, if it has one */
async function acceptChunk(chunk: ScheduledChunk<Sequence>, computed: Computed, firstRow: number): Promise<void> {
  const { sequence, numTokens, isLast } = chunk;
  if (sequence.isPromptScored) await emitPrompt(chunk, computed, firstRow);
  sequence.numComputedTokens += numTokens;
  if (!isLast) return;
  const before = sequence.tokens.length;
  await emit(sequence, computed, computed.output.rows - 1);
  const tokens = sequence.tokens.length - before;
  if (sequence.group === undefined) computed.onAccepted(sequence, { tokens, drafted: 0, accepted: 0 });
}

async function emit(sequence: Sequence, computed: Computed, row: number): Promise<void> {
  if (sequence.status === 'finished') return; // cancelled meanwhile
  const { output, vocabularySize, onToken } = computed;
  const logits = readRow(output, row, vocabularySize);
  const read = { isWhole: false };
  const all = (): Float32Array => {
    read.isWhole = true;
    return logits.all();
  };
  if (sequence.group) sequence.group.read(sequence, logits);
  else {
    onToken(sequence);
    emitNextToken(sequence, { ...logits, all });
  }
  if (read.isWhole) await setImmediate();
}

async function emitPrompt(
  { sequence, numTokens }: ScheduledChunk<Sequence>,
  { output, vocabularySize }: Computed,
  firstRow: number,
): Promise<void> {
  const start = sequence.numComputedTokens;
  const size = sequence.request.promptRanks ? RANKED_A_TURN : numTokens;
  for (let at = 0; at < numTokens; at += size) {
    if (at > 0) await setImmediate();
    const length = Math.min(size, numTokens - at);
    const rows = Array.from({ length }, (_, i) => readRow(output, firstRow + at + i, vocabularySize));
    emitPromptTokens(sequence, start + at, rows);
  }
}
