import type { Branch } from '../sequence-group.js';
import { readRow } from '../sampling/logits-row.js';
import { emitNextToken, emitPromptTokens } from './next-token.js';
import type { StepOutput } from '../runner.js';
import type { Schedule, ScheduledChunk } from '../policy/schedule.js';
import type { Sequence } from '../sequence.js';

/**
 * Books what the step of a schedule computed, and sends each sequence its next token and its prompt's scores.
 * @returns beams that go on from others'
 */
export function acceptStepOutput(
  { decode, chunk }: Schedule<Sequence>,
  output: StepOutput,
  vocabularySize: number,
): Branch<Sequence>[] {
  decode.forEach((sequence, row) => {
    sequence.numComputedTokens += 1;
    emit(sequence, output, row, vocabularySize);
  });
  if (chunk) acceptChunk(chunk, output, decode.length, vocabularySize);
  const groups = new Set([...decode, ...(chunk ? [chunk.sequence] : [])].flatMap(({ group }) => group ?? []));
  return [...groups].flatMap((group) => group.advance());
}

/** @param firstRow the row of the chunk's first token, if it has one */
function acceptChunk(
  chunk: ScheduledChunk<Sequence>,
  output: StepOutput,
  firstRow: number,
  vocabularySize: number,
): void {
  const { sequence, numTokens, isLast } = chunk;
  if (sequence.isPromptScored) emitPrompt(chunk, output, firstRow, vocabularySize);
  sequence.numComputedTokens += numTokens;
  if (isLast) emit(sequence, output, output.rows - 1, vocabularySize);
}

function emit(sequence: Sequence, output: StepOutput, row: number, vocabularySize: number): void {
  if (sequence.status === 'finished') return; // cancelled during the step
  const logits = readRow(output, row, vocabularySize);
  if (sequence.group) sequence.group.read(sequence, logits);
  else emitNextToken(sequence, logits);
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
