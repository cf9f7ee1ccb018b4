import fs from 'node:fs/promises';

import { randomTokens } from './token-stream.js';

/** A step's batch: rows of equally many tokens, every one of them learned. */
const ROWS = 10;
const TOKENS = 64;
export const STEP_TOKENS = ROWS * TOKENS;

/** The examples of every step: a token to begin with, and `TOKENS` to learn. */
export function trainingExamples(): number[][] {
  return Array.from({ length: ROWS }, (_, row) => randomTokens(`example/${row}`, TOKENS + 1));
}

/** The most memory that a process has had, MiB. @throws Error where the system does not tell */
export async function peakResident(pid: number): Promise<number> {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(await fs.readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no VmHWM`);
  return Number(kilobytes) / 1024;
}
