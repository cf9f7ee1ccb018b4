import { expect, it } from 'vitest';

import { listen, testServer } from '../server/harness.js';
import { preamble } from './preamble.js';

it('measures a running server', async () => {
  const { app, engine } = await testServer();
  const url = await listen(app);
  const { status, out } = await preamble(
    'bench',
    '--url',
    url,
    '--rows',
    '1,3',
    '--tokens',
    '4',
    '--json',
    '--model',
    'tiny',
  );
  expect(status).toBe(0);
  expect(JSON.parse(out)).toMatchObject([
    { rows: 1, tokens: 4 },
    { rows: 3, tokens: 12 },
  ]);
  expect(engine.submitted).toHaveLength(1 + 1 + 3);
  expect(engine.submitted[0]).toMatchObject({ ignoreEos: true, maxTokens: 4, sampling: { temperature: 0 } });
});

it('says what the server says', async () => {
  const { app, engine } = await testServer();
  engine.capacity = 0;
  const { status, err } = await preamble('bench', '--url', await listen(app), '--model', 'tiny', '--tokens', '4');
  expect(status).toBe(1);
  expect(err).toBe('preamble: The server is full: too much is waiting already. (queue_full)\n');
});
