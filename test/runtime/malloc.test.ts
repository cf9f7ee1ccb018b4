import { expect, it } from 'vitest';

import { Runtime } from '../../src/runtime/ort/runtime.js';

const MiB = 2 ** 20;

// Elsewhere the C library does so by itself.
it.runIf(process.platform === 'linux')('gives large blocks back to the system, whatever was freed before', () => {
  const runtime = new Runtime({ threads: 1 });
  runtime.allocate(24 * MiB).dispose(); // glibc, left alone, takes this for the size of a block that is worth keeping
  const blocks = Array.from({ length: 64 }, () => {
    const large = runtime.allocate(4 * MiB);
    large.bytesAt(0, large.bytes).fill(1);
    return { large, small: runtime.allocate(64) };
  });
  const before = process.memoryUsage.rss();
  for (const { large } of blocks) large.dispose();
  expect(before - process.memoryUsage.rss()).toBeGreaterThan(200 * MiB);
  for (const { small } of blocks) small.dispose();
  runtime.dispose();
});
