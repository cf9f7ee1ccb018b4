import { expect, it } from 'vitest';

import { isFusedExact } from '../../src/model/cross-check.js';
import { slotPositions } from '../../src/model/slot-positions.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';

it('is computed by the operator as by products: several queries of several slots, nothing appended', async () => {
  const runtime = new Runtime({ threads: 1, spin: false });
  try {
    expect(await isFusedExact(runtime)).toBe(true);
  } finally {
    runtime.dispose();
  }
});

it('has room in a slot for virtual tokens beside a whole context', () => {
  const shape = { sites: [], width: 8, vocabularySize: 4, contextLength: 10 };
  expect(slotPositions(shape).decoder).toBe(10);
  expect(slotPositions({ ...shape, sourceLength: 7 })).toEqual({ decoder: 20, cross: 17 });
});
