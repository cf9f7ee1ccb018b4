import fs from 'node:fs';
import os from 'node:os';

import koffi from 'koffi';

/** Of `flock`, on Linux and on macOS. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Somebody else holds the lock. */
export class FileLockedError extends Error {
  override readonly name = 'FileLockedError';
  /** @param holder what the one that holds it called itself */
  constructor(
    path: string,
    readonly holder: string,
  ) {
    super(`${path} is locked by ${holder}`);
  }
}

/** A lock that is held. */
export interface FileLock {
  /** Doing it again does nothing. */
  release(): void;
}

/**
 * Locks a file, which is created where it is missing and stays. The system keeps the lock, not the file: it is gone when this process
 * is, however it ended, and it is seen from other containers. Windows has no such lock; nothing is locked there.
 * @param holder what to call this process to those that find the file locked
 * @throws FileLockedError when it is locked, by another process or by this one
 */
export function lockFile(path: string, holder: string): FileLock {
  const file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT);
  try {
    lock(file, path);
    fs.ftruncateSync(file);
    fs.writeSync(file, `${holder}\n`, 0);
  } catch (error) {
    fs.closeSync(file);
    throw error;
  }
  let isHeld = true;
  const release = (): void => {
    if (isHeld) fs.closeSync(file); // a second time, the descriptor may be somebody else's
    isHeld = false;
  };
  return { release };
}

function lock(file: number, path: string): void {
  if (process.platform === 'win32') return;
  const flock = koffi.load(null).func('int flock(int file, int operation)');
  if (flock(file, LOCK_EX | LOCK_NB) === 0) return;
  const errno = koffi.errno();
  if (errno !== os.constants.errno.EWOULDBLOCK) throw new Error(`${path} could not be locked (errno ${errno})`);
  throw new FileLockedError(path, fs.readFileSync(path, 'utf8').trim() || 'another process');
}
