import { expect, test } from 'vitest';

import type { SourceEncoder } from '../../src/engine/runner.js';
import type { Sequence } from '../../src/engine/sequence.js';
import { encodePieces } from '../../src/engine/step/encode-piece.js';

/** Encodes a source of `total` pieces, each of which takes a second, behind a step. @returns pieces that were computed */
async function piecesBehind(stepSeconds: number, total = 100): Promise<number> {
  let pieces = 0;
  const sequence = {
    sourceSlot: 0,
    request: { source: [1] },
    status: 'running',
    encode: async () => void pieces++,
    get isSourceEncoded() {
      return pieces >= total;
    },
  } as unknown as Sequence;
  const now = (): number => pieces;
  await encodePieces({ sequence, maxTokens: 1 }, {} as SourceEncoder, stepSeconds, now);
  return pieces;
}

test('pieces take about as long as seven tenths of the step before them, and one is always computed', async () => {
  expect(await piecesBehind(0)).toBe(1);
  expect(await piecesBehind(1)).toBe(1);
  expect(await piecesBehind(3)).toBe(2);
  expect(await piecesBehind(10)).toBe(7);
});

test('pieces end with the source', async () => {
  expect(await piecesBehind(1000, 12)).toBe(12);
});
