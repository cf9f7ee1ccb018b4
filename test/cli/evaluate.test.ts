import fs from 'node:fs/promises';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { temporaryDirectory } from '../server/prefix-library.js';
import { golden } from '../support/goldens.js';
import { modelCache } from '../support/models.js';
import { preamble } from './preamble.js';

const model = ['--model', golden('tiny-a').directory];
const DATA = 'name : A||A is a pub . \nname : B||B is a bar . \nname : A||A serves tea . \n';

async function files(content = DATA): Promise<{ data: string; out: string }> {
  const directory = await temporaryDirectory();
  const data = path.join(directory, 'test.txt');
  await fs.writeFile(data, content);
  return { data, out: path.join(directory, 'out') };
}

describe('preamble evaluate', () => {
  beforeEach(() => vi.stubEnv('PREAMBLE_CACHE', modelCache));
  afterEach(() => vi.unstubAllEnvs());

  it('measures what tune wrote, beside another prefix, for programs and for people', async () => {
    const { data, out } = await files();
    const adapters = [`${out}-a`, `${out}-b`] as const;
    const losses = [];
    for (const [i, adapter] of adapters.entries()) {
      const steps = ['--max-steps', String(2 * i), '--mlp', '0', '--lr', '0.01', '--valid', data, '--json'];
      const tuned = await preamble('tune', ...model, '--train', data, '--out', adapter, ...steps);
      losses.push((JSON.parse(tuned.out) as { valid_loss: number }).valid_loss);
    }
    const predictions = `${out}.jsonl`;
    const args = [...model, '--data', data, '--prefix', ...adapters, '--max-tokens', '6', '--predictions', predictions];
    const { status, out: printed } = await preamble('evaluate', ...args, '--json');
    expect(status).toBe(0);
    const results = JSON.parse(printed) as Record<string, number>[];
    expect(results.map(({ prefix }) => prefix)).toEqual(adapters);
    expect(results[1]!['loss']).toBeCloseTo(losses[1]!, 5);
    const scores = ['bleu', 'e2e_bleu', 'nist', 'rouge_l', 'rouge_score_l', 'meteor_exact_stem'];
    for (const result of results) {
      expect(result).toMatchObject({ method: 'prefix', num_virtual_tokens: 10, sources: 2 });
      for (const score of scores) expect(result[score]).toBeGreaterThanOrEqual(0);
      expect(result).not.toHaveProperty('predictions');
    }
    const lines = (await fs.readFile(predictions, 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject(
      adapters.flatMap((prefix) => [
        { prefix, source: ' name : A <|endoftext|>', references: ['A is a pub .', 'A serves tea .'] },
        { prefix, source: ' name : B <|endoftext|>', references: ['B is a bar .'] },
      ]),
    );
    const people = await preamble('evaluate', ...args);
    expect(people.out).toMatch(/^PREFIX +LOSS +PERPLEXITY +BLEU .*\n.*out-a +\d+\.\d{4} .*\n.*out-b +\d+\.\d{4} /);
  });

  it('measures the bare model, on some sources, by its loss alone', async () => {
    const { data } = await files();
    const args = [...model, '--data', data, '--loss-only'];
    const { out: all } = await preamble('evaluate', ...args, '--json');
    const { out: some } = await preamble('evaluate', ...args, '--limit', '1', '--json');
    const { out: people } = await preamble('evaluate', ...args);
    const [result] = JSON.parse(all) as Record<string, number>[];
    expect(result).toMatchObject({ prefix: null, method: null, num_virtual_tokens: 0, sources: 2 });
    expect(result).not.toHaveProperty('bleu');
    const [part] = JSON.parse(some) as Record<string, number>[];
    expect(part!['sources']).toBe(1);
    expect(part!['learned_tokens']).toBeLessThan(result!['learned_tokens']!);
    expect(people).toBe(
      `PREFIX  LOSS    PERPLEXITY\n(none)  ${result!['loss']!.toFixed(4)}  ${result!['perplexity']!.toFixed(2)}\n`,
    );
  });

  it('finds a prefix or a file that is not there before it measures', async () => {
    const { data, out } = await files();
    await preamble('tune', ...model, '--train', data, '--out', out, '--max-steps', '0');
    const args = [...model, '--data', data, '--max-tokens', '158', '--prefix', out]; // measuring is refused
    const adapters = await preamble('evaluate', ...args, '/no/such');
    expect([adapters.status, adapters.err]).toEqual([1, expect.stringContaining('/no/such: no such directory')]);
    const file = await preamble('evaluate', ...args, '--predictions', '/no/such/file');
    expect([file.status, file.err]).toEqual([1, expect.stringContaining('--predictions: ENOENT')]);
  });

  it.each([
    [['--beams', '0'], 2, 'not a whole number from 1'],
    [['--length-penalty', 'x'], 2, 'not a number'],
    [['--format', 'xml'], 2, 'Allowed choices are jsonl, e2e, webnlg, dart'],
    [['--loss-only', '--predictions', 'texts'], 2, '--predictions makes no sense with --loss-only'],
    [['--loss-only', '--scores', 'bleu'], 2, '--scores makes no sense with --loss-only'],
    [['--scores', 'rouge'], 2, 'Allowed choices are bleu, e2e_bleu'],
    [['--early-stopping', 'always'], 2, 'Allowed choices are true, false, never'],
    [['--min-tokens', '7', '--max-tokens', '6'], 2, '--min-tokens is more than --max-tokens, which is 6'],
    [['--prefix', '/no/such'], 1, '/no/such: no such directory'],
    [['--format', 'jsonl'], 1, 'test.txt line 1: not JSON'],
    [['--max-tokens', '158'], 1, 'test.txt line 1: The context is 160 tokens'],
    [['--beams', '64'], 1, 'A beam search of width 64 is not possible'],
  ])('refuses %s', async (args, status, message) => {
    const { data } = await files();
    const outcome = await preamble('evaluate', ...model, '--data', data, ...args);
    expect(outcome.err).toContain(message);
    expect(outcome.status).toBe(status);
  });
});
