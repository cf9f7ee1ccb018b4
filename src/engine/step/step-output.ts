import { setImmediate } from 'node:timers/promises';

import type { Branch } from '../sequence-group.js';
import { readRow } from '../sampling/logits-row.js';
import { emitNextToken, emitPromptTokens } from './next-token.js';
import type { StepOutput } from '../runner.js';
import type { Schedule, ScheduledChunk } from '../policy/schedule.js';
import type { Sequence } from '../sequence.js';

/**
 * Books what the step of a schedule computed, and sends each sequence its next token and its prompt's scores. Other work of the process
 * gets its turn behind each row of which the whole vocabulary was read.
 * @returns beams that go on from others'
 */
export async function acceptStepOutput(
  { decode, chunk }: Schedule<Sequence>,
  output: StepOutput,
  vocabularySize: number,
): Promise<Branch<Sequence>[]> {
  for (const [row, sequence] of decode.entries()) {
    sequence.numComputedTokens += 1;
    await emit(sequence, output, row, vocabularySize);
  }
  if (chunk) await acceptChunk(chunk, output, decode.length, vocabularySize);
  const sequences = [...decode, ...(chunk ? [chunk.sequence] : [])];
  const groups = new Set(sequences.flatMap(({ status, group }) => (status === 'finished' ? [] : (group ?? []))));
  return [...groups].flatMap((group) => group.advance());
}

/** @param firstRow the row of the chunk's first token, if it has one */
async function acceptChunk(
  chunk: ScheduledChunk<Sequence>,
  output: StepOutput,
  firstRow: number,
  vocabularySize: number,
): Promise<void> {
  const { sequence, numTokens, isLast } = chunk;
  if (sequence.isPromptScored) emitPrompt(chunk, output, firstRow, vocabularySize);
  sequence.numComputedTokens += numTokens;
  if (isLast) await emit(sequence, output, output.rows - 1, vocabularySize);
}

async function emit(sequence: Sequence, output: StepOutput, row: number, vocabularySize: number): Promise<void> {
  if (sequence.status === 'finished') return; // cancelled meanwhile
  const logits = readRow(output, row, vocabularySize);
  const read = { isWhole: false };
  const all = (): Float32Array => {
    read.isWhole = true;
    return logits.all();
  };
  if (sequence.group) sequence.group.read(sequence, logits);
  else emitNextToken(sequence, { ...logits, all });
  if (read.isWhole) await setImmediate();
}

function emitPrompt(
  { sequence, numTokens }: ScheduledChunk<Sequence>,
  output: StepOutput,
  firstRow: number,
  vocabularySize: number,
): void {
  const rows = Array.from({ length: numTokens }, (_, i) => readRow(output, firstRow + i, vocabularySize));
  emitPromptTokens(sequence, sequence.numComputedTokens, rows);
}
