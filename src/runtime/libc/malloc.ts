import koffi from 'koffi';

/** `M_MMAP_THRESHOLD`, a parameter of glibc's `mallopt`. */
const MMAP_THRESHOLD = -3;
/** Size from which a block gets pages of its own. */
const LARGE_BYTES = 1 << 20;

/**
 * Makes glibc return large blocks to the system when they are freed. By default glibc raises its threshold for
 * "large" to the size of the largest block freed so far: packing the weights of GPT-2 124M then leaves 100 MB behind,
 * and uploads leave more. Other C libraries lack this setting, and nothing happens there.
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
