import { expect, it } from 'vitest';

import { isFusedExact } from '../../src/model/cross-check.js';
import { slotPositions } from '../../src/model/slot-positions.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';

it.each(['float32', 'float16'] as const)(
  'is computed by the operator as by products, %s: several queries of several slots, nothing appended',
  async (kv) => {
    const runtime = new Runtime({ threads: 1, spin: false });
    try {
      expect(await isFusedExact(runtime, kv)).toBe(true);
    } finally {
      runtime.dispose();
    }
  },
);

it('has room in a slot for virtual tokens beside a whole context', () => {
  const shape = { sites: [], width: 8, vocabularySize: 4, contextLength: 10 };
  expect(slotPositions(shape).decoder).toBe(10);
  expect(slotPositions({ ...shape, sourceLength: 7 })).toEqual({ decoder: 20, cross: 17 });
});
