import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { FileLockedError, lockFile } from '../../src/runtime/libc/file-lock.js';

function newFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'preamble-lock-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return join(directory, 'lock');
}

it('one holds a lock at a time, and the others are told who', () => {
  const file = newFile();
  const first = lockFile(file, 'the first of them');
  expect(() => lockFile(file, 'the second')).toThrow(new FileLockedError(file, 'the first of them'));
  first.release();
  const second = lockFile(file, 'the second');
  first.release(); // gives up nothing of another's
  expect(() => lockFile(file, 'the third')).toThrow(new FileLockedError(file, 'the second'));
  second.release();
  expect(readFileSync(file, 'utf8')).toBe('the second\n');
});
