import { describe, expect, test } from 'vitest';

import type { EngineSnapshot } from '../../src/engine/observer.js';
import type { BeamRequest } from '../../src/engine/request.js';
import { collect, engineMaker, makeRequest } from './harness.js';

const setUp = engineMaker();
const states = ({ slotStates }: EngineSnapshot): string => slotStates.map(({ state }) => state).join(' ');

describe('a snapshot', () => {
  test('says of every slot what it is used for, and of the queues how many wait', async () => {
    const { engine, runner } = setUp({ slots: 4 }, { limits: { maxChunkTokens: 8 } });
    const seen: EngineSnapshot[] = [];
    runner.beforeStep = () => void seen.push(engine.snapshot());
    expect(states(engine.snapshot())).toBe('free free free free');
    const short = engine.submit(makeRequest({ tenant: 'ann', prompt: [7], maxTokens: 6 }));
    const long = Array.from({ length: 20 }, (_, token) => token + 1);
    const waiting = ['bob', 'cid'].map((tenant) => engine.submit(makeRequest({ tenant, prompt: long, maxTokens: 2 })));
    const behind = engine.submit(makeRequest({ tenant: 'ann', priority: 'background', maxTokens: 1 }));
    expect(engine.snapshot().waitingByClass).toEqual({ interactive: 3, background: 1 });
    await Promise.all([short, ...waiting, behind].map((generation) => collect(generation)));
    expect(states(seen[0]!)).toBe('decode prefill free free');
    expect(seen[0]).toMatchObject({ running: 2, waiting: 2, waitingByClass: { interactive: 1, background: 1 } });
    expect(seen[1]!.slotStates.slice(0, 2)).toEqual([
      { state: 'decode', tenant: 'ann', priority: 'interactive', positions: 1 },
      { state: 'prefill', tenant: 'bob', priority: 'interactive', positions: 8 },
    ]);
    expect(seen.flatMap(({ slotStates }) => slotStates.map(({ priority }) => priority))).toContain('background');
    for (const { slotStates, running } of seen) {
      expect(slotStates).toHaveLength(4);
      expect(slotStates.filter(({ state }) => state !== 'free')).toHaveLength(running);
    }
    await engine.idle();
    expect(states(engine.snapshot())).toBe('free free free free');
  });

  test('shows the slots that a beam search keeps while its prompt is computed', async () => {
    const { engine, runner } = setUp({ slots: 4 });
    const seen: string[] = [];
    runner.beforeStep = () => void seen.push(states(engine.snapshot()));
    const { tenant, prompt, ignoreEos, logprobs } = makeRequest();
    const request: BeamRequest = { tenant, prompt, ignoreEos, logprobs, stopTokenIds: [], width: 3, lengthPenalty: 1, maxTokens: 2 }; // prettier-ignore
    await Promise.all(engine.submitBeams(request).map((generation) => collect(generation)));
    expect(seen).toEqual(['prefill free reserved reserved', 'decode decode decode free']);
  });
});
