import { expect, test } from 'vitest';

import { PlainTime } from '../../src/engine/drafting/plain-time.js';

test('steps without drafts are measured before drafts are tried, and again after many drafts', () => {
  const plain = new PlainTime();
  for (let step = 0; step < 4; step++) {
    expect(plain.isDue).toBe(true);
    plain.note(0.01);
  }
  for (let step = 0; step < 64; step++) {
    expect(plain.isDue).toBe(false);
    plain.noteDrafts();
  }
  expect(plain.isDue).toBe(true);
  plain.note(0.01);
  expect(plain.isDue).toBe(false);
});

test('the mean follows what is measured, and one step that was held up changes little', () => {
  const plain = new PlainTime();
  for (let step = 0; step < 50; step++) plain.note(0.01);
  expect(plain.mean).toBeCloseTo(0.01);
  plain.note(5);
  expect(plain.mean).toBeLessThan(0.011);
  for (let step = 0; step < 100; step++) plain.note(0.03);
  expect(plain.mean).toBeCloseTo(0.03, 3);
});
