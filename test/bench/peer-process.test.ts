import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { PeerProcess } from '../../bench/peers/peer-process.js';

/** A peer that continues with the number of its prompts, one token fewer when asked for 9. */
const program = `
  console.log('a library says hello');
  console.log(JSON.stringify({ versions: { pid: String(process.pid) } }));
  for await (const line of (await import('node:readline')).createInterface({ input: process.stdin })) {
    const { prompts, count } = JSON.parse(line);
    const row = Array(count === 9 ? 8 : count).fill(prompts.length);
    console.log(JSON.stringify({ ids: prompts.map(() => row), arrivals: prompts.map(() => row) }));
  }`;
const command = (script: string): { program: string; args: string[] } => ({
  program: process.execPath,
  args: ['--input-type=module', '--eval', script],
});

describe('a peer', () => {
  it.skipIf(process.platform !== 'linux')('answers, and is stopped whenever it is not asked', async () => {
    const peer = await PeerProcess.start(command(program));
    const state = (): string | undefined =>
      /^State:\s+(\S)/m.exec(readFileSync(`/proc/${peer.versions['pid']}/status`, 'utf8'))?.[1];
    try {
      await expect.poll(state).toBe('T');
      const answer = await peer.generate({ prompts: [[1], [2]], count: 3 });
      expect(answer.ids).toEqual([
        [2, 2, 2],
        [2, 2, 2],
      ]);
      await expect.poll(state).toBe('T');
      await expect(peer.generate({ prompts: [[1]], count: 9 })).rejects.toThrow('asked for 1 x 9 tokens, got 8');
    } finally {
      await peer.close();
    }
    expect(() => process.kill(Number(peer.versions['pid']), 0)).toThrow('ESRCH');
  });

  it('that ends before it can be asked is an error', async () => {
    await expect(PeerProcess.start(command('process.exit(3)'))).rejects.toThrow('the program ended');
    await expect(PeerProcess.start({ program: '/no/such/program', args: [] })).rejects.toThrow('the program ended');
  });
});
