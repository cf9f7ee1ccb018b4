import fs from 'node:fs';
import os from 'node:os';

import koffi from 'koffi';

/** Constants of `flock`, the same on Linux and macOS. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** A lock that is already held. */
export class FileLockedError extends Error {
  override readonly name = 'FileLockedError';
  /** @param holder name that the holder gave itself */
  constructor(
    path: string,
    readonly holder: string,
  ) {
    super(`${path} is locked by ${holder}`);
  }
}

/** A held lock. */
export interface FileLock {
  /** Whether the path still names the locked file. Otherwise the file was removed or replaced, and others can lock what is there now. */
  isInPlace(): Promise<boolean>;
  /** Releases the lock. Further calls do nothing. */
  release(): void;
}

/**
 * Locks a file, creating it if it is missing; the file remains afterwards. The system drops the lock when this
 * process ends, however it ends, and other containers on the machine see it. Windows has no lock of this kind:
 * nothing is locked there.
 * @param holder name of this process for those who find the file locked
 * @throws FileLockedError when the file is locked, by another process or by this one
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
  const { dev, ino } = fs.fstatSync(file);
  const isInPlace = async (): Promise<boolean> => {
    const found = await fs.promises.stat(path).catch(() => undefined);
    return found?.dev === dev && found.ino === ino;
  };
  return { isInPlace, release };
}

function lock(file: number, path: string): void {
  if (process.platform === 'win32') return;
  const flock = koffi.load(null).func('int flock(int file, int operation)');
  if (flock(file, LOCK_EX | LOCK_NB) === 0) return;
  const errno = koffi.errno();
  if (errno !== os.constants.errno.EWOULDBLOCK) throw new Error(`${path} could not be locked (errno ${errno})`);
  throw new FileLockedError(path, fs.readFileSync(path, 'utf8').trim() || 'another process');
}
