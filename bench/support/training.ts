import fs from 'node:fs/promises';

import type { TrainRequest } from '../peers/protocol.js';
import { randomTokens } from './token-stream.js';

/** A step's batch: rows of equally many tokens that the model reads. */
const ROWS = 10;
const TOKENS = 64;
export const STEP_TOKENS = ROWS * TOKENS;

/** How many of a row's tokens are learned: those of the target. */
const TARGETS = { all: TOKENS, half: TOKENS / 2 } as const;
export type Learned = keyof typeof TARGETS;

/** The examples of a step. */
export function trainingExamples(learned: Learned): TrainRequest['examples'] {
  return Array.from({ length: ROWS }, (_, row) => {
    const ids = randomTokens(`example/${row}`, TOKENS + 1); // the last one is learned, not read
    const sourceLength = ids.length - TARGETS[learned];
    return { source: ids.slice(0, sourceLength), target: ids.slice(sourceLength) };
  });
}

/** The most memory that a process has had, MiB. @throws Error where the system does not tell */
export async function peakResident(pid: number): Promise<number> {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(await fs.readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no VmHWM`);
  return Number(kilobytes) / 1024;
}
