import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

type Times = readonly Readonly<Record<'user' | 'nice' | 'sys' | 'idle' | 'irq', number>>[];

/** Share of the CPUs' time, 0 to 1, that is used in the next second. Before the bench begins, other programs use it. */
export async function busyShare(): Promise<number> {
  const before = os.cpus().map(({ times }) => times);
  await delay(1000);
  return shareBetween(
    before,
    os.cpus().map(({ times }) => times),
  );
}

/** The busy share between two readings of the CPUs' clocks. */
export function shareBetween(before: Times, after: Times): number {
  const [idleBefore, allBefore] = sum(before);
  const [idleAfter, allAfter] = sum(after);
  if (allAfter === allBefore) return 0; // clocks that stand still tell nothing
  return 1 - (idleAfter - idleBefore) / (allAfter - allBefore);
}

function sum(cpus: Times): [idle: number, all: number] {
  const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  return [total(cpus.map(({ idle }) => idle)), total(cpus.flatMap((times) => Object.values(times)))];
}
