import { describe, expect, it } from 'vitest';

import { StepTimer } from '../../src/cli/doctor/measure/step-timer.js';
import { FakeRunner } from '../engine/fake-runner.js';

describe('the timer of doctor --measure', () => {
  it('times rows beside a chunk of a prompt', async () => {
    const runner = new FakeRunner();
    const timer = await StepTimer.start(runner);
    expect(timer.maxChunkTokens).toBe(48);
    expect(await timer.time(2, 16)).toBeGreaterThan(0);
    expect(runner.steps.at(-1)).toMatchObject({ decode: [{ slot: 0 }, { slot: 1 }], chunk: { slot: 2 } });
  });

  it('gives each row of an encoder-decoder a source, and times no chunks', async () => {
    const runner = new FakeRunner({ sourceLength: 20 });
    const timer = await StepTimer.start(runner);
    expect([timer.maxChunkTokens, runner.sources?.numBegun, runner.sources?.numOpen]).toEqual([0, 4, 0]);
    expect(await timer.time(2)).toBeGreaterThan(0);
    expect(runner.steps.at(-1)?.rows).toMatchObject([{ source: 0 }, { source: 1 }]);
  });
});
