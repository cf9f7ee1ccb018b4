import { readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { packageRoot } from '../../src/config/paths.js';
import { planParts, runNames } from '../../src/study/plan.js';
import { parseSpec } from '../../src/study/spec.js';

const GOOD = {
  data: { train: 'train.jsonl', valid: 0.2, test: 'test.jsonl' },
  parts: [{ title: 'Methods', axes: { method: ['none', 'prefix', 'embedding'], mlp: [0, 16], seed: [1, 2] } }],
};
/** The spec with values at other places than they should be; undefined: left out. */
function changed(changes: Readonly<Record<string, unknown>>): string {
  const spec = structuredClone(GOOD);
  for (const [place, value] of Object.entries(changes)) {
    const keys = place.split('.');
    const last = keys.pop() as string;
    const at = keys.reduce<unknown>((inside, key) => (inside as Record<string, unknown>)[key], spec);
    (at as Record<string, unknown>)[last] = value;
  }
  return JSON.stringify(spec);
}

describe('a spec', () => {
  it('is the product of its axes, each run once', () => {
    const parts = planParts(parseSpec(JSON.stringify({ ...GOOD, parts: [...GOOD.parts, ...GOOD.parts] })));
    expect(runNames(parts)).toEqual([
      'none',
      'prefix-10-mlp-0-random-lr-0.00005-all-seed-1',
      'prefix-10-mlp-0-random-lr-0.00005-all-seed-2',
      'prefix-10-mlp-16-random-lr-0.00005-all-seed-1',
      'prefix-10-mlp-16-random-lr-0.00005-all-seed-2',
      'embedding-10-mlp-0-random-lr-0.00005-all-seed-1',
      'embedding-10-mlp-0-random-lr-0.00005-all-seed-2',
      'embedding-10-mlp-16-random-lr-0.00005-all-seed-1',
      'embedding-10-mlp-16-random-lr-0.00005-all-seed-2',
    ]);
  });

  it('tries the rates with the first seed', () => {
    const axes = { lr: [0.1, 0.01], seed: [3, 4, 5] };
    const parts = planParts(parseSpec(JSON.stringify({ ...GOOD, parts: [{ title: 'x', axes }] })));
    expect(runNames(parts).map((name) => name.replace('prefix-10-mlp-512-random-', ''))).toEqual([
      'lr-0.01-all-seed-3',
      'lr-0.1-all-seed-3',
      'lr-best-all-seed-4',
      'lr-best-all-seed-5',
    ]);
  });

  it('plans sites of an encoder-decoder', () => {
    const axes = { method: ['none', 'prefix'], sites: ['encoder,decoder,cross', 'decoder'] };
    const parts = planParts(parseSpec(JSON.stringify({ ...GOOD, parts: [{ title: 'x', axes }] })));
    expect(parts[0]!.groups.map(({ settings }) => settings.sites)).toEqual([null, 'encoder,decoder,cross', 'decoder']);
    expect(runNames(parts)).toEqual([
      'none',
      'prefix-encoder_decoder_cross-10-mlp-512-random-lr-0.00005-all-seed-101',
      'prefix-decoder-10-mlp-512-random-lr-0.00005-all-seed-101',
    ]);
  });

  it('names directories of different runs differently', () => {
    const axes = { init: ['random', 'a b', 'a-b', 'A b'], examples: [5, 6] };
    const runs = runNames(planParts(parseSpec(JSON.stringify({ ...GOOD, parts: [{ title: 'x', axes }] }))));
    expect(runs).toHaveLength(8);
    for (const name of runs) expect(name).toMatch(/^[\w.-]+$/);
  });

  it.each<[string, Record<string, unknown>]>([
    ['colour: no such field', { colour: 1 }],
    ['data.trian: no such field', { 'data.trian': 'x' }],
    ['parts[0].axes.lenght: no such field', { 'parts.0.axes.lenght': [1] }],
    ['data.train: missing', { 'data.train': undefined }],
    ['data, parts: missing', { data: undefined, parts: undefined }],
    ['parts[0].axes.method[1]: must be one of none, prefix, embedding, infix', { 'parts.0.axes.method.1': 'suffix' }],
    ['parts[0].axes.length[0]: must be >= 1', { 'parts.0.axes.length': [0] }],
    ['parts[0].axes.lr[1]: must be number', { 'parts.0.axes.lr': [1, '1'] }],
    ['parts[0].axes.seed: must not have duplicate items', { 'parts.0.axes.seed': [1, 1] }],
    ['parts[0].axes.share[0]: must be <= 1', { 'parts.0.axes.share': [2] }],
    [
      'parts[0].axes.share: not together with parts[0].axes.examples',
      { 'parts.0.axes.share': [1], 'parts.0.axes.examples': [1] },
    ],
    ["data.valid: must be a file, or a share of the training data's sources between 0 and 1", { 'data.valid': 2 }],
    ['data.valid, data.test: give at least one', { 'data.valid': undefined, 'data.test': undefined }],
    [
      'parts[0].axes.lr: the best of several is chosen by data.valid',
      { 'data.valid': undefined, 'parts.0.axes.lr': [1, 2] },
    ],
    ['training.patience: early stopping needs data.valid', { 'data.valid': undefined, training: { patience: 2 } }],
    ['generation.beams: must be integer', { generation: { beams: 1.5 } }],
    ['generation.early_stopping: must be true, false or "never"', { generation: { early_stopping: 'always' } }],
    ['generation.min_tokens: more than generation.max_tokens, which is 100', { generation: { min_tokens: 101 } }],
    ['generation.scores[0]: must be one of bleu, e2e_bleu', { generation: { scores: ['rouge'] } }],
  ])('is refused: %s', (message, changes) => {
    expect(() => parseSpec(changed(changes))).toThrow(message);
  });

  it.each([
    ['study', 'infix-10-mlp-64-random-lr-0.03-all-seed-101'],
    ['e2e', 'embedding-10-mlp-512-random-lr-0.003-all-seed-3'],
  ])('is what the example %s has', (example, run) => {
    const spec = readFileSync(path.join(packageRoot, 'examples', example, 'study.json'), 'utf8');
    expect(runNames(planParts(parseSpec(spec)))).toContain(run);
  });

  it('is JSON', () => expect(() => parseSpec('{')).toThrow('the spec is not JSON'));
});
