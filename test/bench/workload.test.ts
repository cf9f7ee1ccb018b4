import { expect, it } from 'vitest';

import { rates, workload } from '../../bench/load/workload.js';

it('counts only the time in which every row decodes', () => {
  // The first row runs alone at a token every 10 ms until the second comes at 100; then both take 20 ms.
  const first = [10, 20, 30, 40, 100, 120, 140, 160];
  const second = [100, 120, 140, 160, 170, 180];
  const { decode, overall, firstToken } = rates(0, [first, second]);
  expect(decode).toBeCloseTo(2 * (1000 / 20));
  expect(overall).toBeCloseTo((1000 * 14) / 180);
  expect(firstToken).toBe(55);
});

it('does not care where in a step its rows arrive', () => {
  const steps = Array.from({ length: 10 }, (_, step) => 100 * step);
  const spreadOut = [0, 30, 60].map((late) => steps.map((time) => time + late));
  expect(rates(0, spreadOut).decode).toBeCloseTo(3 * 10);
});

it('has prompts and tokens around the context that was asked for', () => {
  const requests = workload(8, 130, 32);
  expect(requests).toHaveLength(8);
  for (const { prompt, maxTokens } of requests) {
    // The prefix and the prompt, and half of what is generated.
    expect(20 + prompt.length + maxTokens / 2).toBeCloseTo(130, -1);
  }
});
