import koffi from 'koffi';

/** `M_MMAP_THRESHOLD` of glibc's `mallopt`. */
const MMAP_THRESHOLD = -3;
/** Blocks of this size and more have pages of their own. Bytes. */
const LARGE_BYTES = 1 << 20;

/**
 * Makes the C library give large blocks back to the system when they are freed. Left alone, glibc raises the size that counts
 * as large to that of the largest block freed so far: packing the weights of a GPT-2 of 124M's shape then leaves 100 MB behind, and uploads
 * more. Other C libraries have no such setting, and nothing happens.
 */
export function returnLargeBlocks(): void {
  if (process.platform !== 'linux') return;
  const libc = koffi.load(null);
  try {
    libc.func('int mallopt(int parameter, int value)')(MMAP_THRESHOLD, LARGE_BYTES);
  } catch {
    // Not glibc.
  }
}
