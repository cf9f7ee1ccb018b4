import type { Writable } from 'node:stream';

/** Prints what somebody who starts a model should know of its checkpoint's files, a line each. */
export function printModelWarnings(out: Pick<Writable, 'write'>, warnings: readonly string[]): void {
  for (const warning of warnings) out.write(`warning: ${warning}\n`);
}
