import fs from 'node:fs';

import koffi from 'koffi';

import type { Pointer } from '../ort/api.js';
import { Memory } from '../ort/memory.js';
import type { Runtime } from '../ort/runtime.js';

const PROT_READ = 1;
const MAP_PRIVATE = 2;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
const MADV_DONTNEED = 4;
/** Bytes of one read: `fs.readSync` takes at most 2 GiB at once. */
const READ_BYTES = 1 << 28;

/** The content of a file as read-only memory. */
export interface MappedFile {
  readonly memory: Memory;
  /** Gives the pages read so far back to the system. They are read from the file again when touched. */
  releasePages(): void;
}

/**
 * Maps a file into memory, or, where the platform has no `mmap`, reads it into memory of `runtime`. The file must not
 * shrink while it is mapped. Throws errors of the file system, and for an empty file.
 */
export function mapFile(runtime: Runtime, path: string): MappedFile {
  const file = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(file);
    if (size === 0) throw new Error(`${path} is empty`);
    return process.platform === 'win32' ? readWhole(runtime, file, size) : map(file, size, path);
  } finally {
    fs.closeSync(file); // a mapping outlives its descriptor
  }
}

function map(file: number, size: number, path: string): MappedFile {
  const libc = koffi.load(null);
  const mmap = libc.func(
    'void *mmap(void *address, size_t bytes, int protection, int flags, int file, int64_t offset)',
  );
  const munmap = libc.func('int munmap(void *address, size_t bytes)');
  const madvise = libc.func('int madvise(void *address, size_t bytes, int advice)');
  const address = mmap(null, size, PROT_READ, MAP_PRIVATE, file, 0) as Pointer | null;
  if (address === null || address === MAP_FAILED)
    throw new Error(`${path} could not be mapped (errno ${koffi.errno()})`);
  return {
    memory: new Memory(address, size, () => void munmap(address, size)),
    releasePages: () => void madvise(address, size, MADV_DONTNEED),
  };
}

function readWhole(runtime: Runtime, file: number, size: number): MappedFile {
  const memory = runtime.allocate(size);
  for (let offset = 0; offset < size;) {
    const read = fs.readSync(file, memory.bytesAt(offset, Math.min(READ_BYTES, size - offset)), { position: offset });
    if (read === 0) throw new Error('the file ended early');
    offset += read;
  }
  return { memory, releasePages: () => undefined };
}
