import { expect, it } from 'vitest';

import { send } from '../support/http.js';
import { realServer } from '../support/real-server.js';
import { overload } from './overload.js';

/** Longer by hand: `60_000` is a minute. */
const DURATION_MS = 15_000;
const SLOTS = 4;
const WAITING = 8;

it(
  'serves what it accepts, refuses the rest, and is well afterwards, with ten times as many clients as it can take',
  async () => {
    const server = await realServer({ slots: SLOTS, maxWaitingRequests: WAITING });
    const clients = 10 * (SLOTS + WAITING);
    const outcome = await overload(server, { clients, duration: DURATION_MS, requests: 100_000 });
    console.log(outcome);

    expect(outcome.faults).toEqual([]);
    expect(outcome.accepted).toBeGreaterThan(SLOTS);
    expect(outcome.refused).toBeGreaterThan(WAITING);
    expect(outcome.left).toBeGreaterThan(SLOTS);
    // Slots and queue are full from the start: what grows later would be a leak. The slack is the garbage collector's.
    expect(outcome.memory.highest).toBeLessThan(outcome.memory.early + 200);

    await server.engine.idle();
    server.engine.checkIntegrity();
    expect(server.engine.stats()).toMatchObject({ running: 0, waiting: 0, waitingTokens: 0, kvUsage: 0 });
    const body = { model: 'preamble-demo', prompt: 'The', max_tokens: 4, ignore_eos: true };
    const answer = await send(server.url, { method: 'POST', path: '/v1/completions', body });
    expect(JSON.parse(answer.text)).toMatchObject({ usage: { completion_tokens: 4 } });
  },
  DURATION_MS + 60_000,
);
