import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

/**
 * Makes the directory `target` by letting `write` fill a draft beside it and renaming that: whenever the process dies, the
 * next one finds all of it or nothing. `isWhole` says of `target` whether it is; where another process was first, theirs stays.
 */
export async function buildDirectory(
  target: string,
  write: (draft: string) => Promise<void>,
  isWhole: () => Promise<boolean>,
): Promise<void> {
  const parent = path.dirname(target);
  await removeAbandonedDrafts(parent);
  const draft = path.join(parent, `.draft-${process.pid}-${randomUUID()}`);
  await fs.mkdir(draft, { recursive: true });
  try {
    await write(draft);
    await moveInto(draft, target, isWhole);
  } finally {
    await fs.rm(draft, { recursive: true, force: true });
  }
}

/** Drafts of processes that were killed. */
async function removeAbandonedDrafts(parent: string): Promise<void> {
  const entries = await fs.readdir(parent).catch(() => []);
  for (const entry of entries) {
    const pid = /^\.draft-(\d+)-/.exec(entry)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await fs.rm(path.join(parent, entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

async function moveInto(draft: string, target: string, isWhole: () => Promise<boolean>): Promise<void> {
  try {
    await fs.rename(draft, target);
  } catch (error) {
    if (await isWhole()) return;
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    await fs.rm(target, { recursive: true }); // somebody deleted half of it
    await fs.rename(draft, target);
  }
}
