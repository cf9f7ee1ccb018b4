import { expect, it } from 'vitest';

import { shareBetween } from '../../bench/process/busy.js';

const cpu = (user: number, idle: number): Parameters<typeof shareBetween>[0][number] => ({
  user,
  nice: 0,
  sys: 0,
  idle,
  irq: 0,
});

it('tells how busy the CPUs were between two readings', () => {
  expect(shareBetween([cpu(5, 5), cpu(0, 0)], [cpu(5, 105), cpu(100, 0)])).toBe(0.5);
  expect(shareBetween([cpu(1, 1)], [cpu(1, 1)])).toBe(0);
});
