import { describe, expect, it } from 'vitest';

import { FileBytes } from '../../src/server/http/body/file-bytes.js';

const MIB = 2 ** 20;

/** Appends chunks of such sizes; each has bytes of its own. */
function read(mostBytes: number, ...sizes: number[]): { file: Buffer; whole: Buffer } {
  const chunks = sizes.map((size, i) => Buffer.alloc(size, i + 1));
  const bytes = new FileBytes(mostBytes);
  for (const chunk of chunks) bytes.append(chunk);
  const whole = Buffer.concat(chunks);
  expect(bytes.length).toBe(whole.length);
  return { file: bytes.finish(), whole };
}

describe('the bytes of a file', () => {
  it.each([[[]], [[0]], [[5, 0, 7]], [[MIB]], [[MIB, 1]], [[MIB - 1, 2, 3]], [[2 * MIB, 5]], [[MIB, MIB, MIB]]])(
    'are its chunks, case %#',
    (sizes) => {
      const { file, whole } = read(3 * MIB, ...sizes);
      expect(file.equals(whole)).toBe(true);
    },
  );

  it('take no room for a size that is only announced', () => {
    expect(read(100 * MIB, 1000, 1000).file.buffer.byteLength).toBeLessThan(MIB);
  });

  it('are in one buffer of the announced size once they are many', () => {
    expect(read(3 * MIB, MIB, MIB).file.buffer.byteLength).toBe(3 * MIB);
  });

  it('are never more than the size', () => {
    expect(() => read(2 * MIB, 2 * MIB, 1)).toThrow(RangeError);
  });
});
