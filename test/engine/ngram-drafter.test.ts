import { describe, expect, test } from 'vitest';

import { NgramDrafter } from '../../src/engine/drafting/ngram-drafter.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import { makeFakeKv } from './fake-runner.js';
import { makeRequest } from './harness.js';
import { mix } from './mix.js';

const prefix = { kv: makeFakeKv(3, 1), placement: 'prefix', version: 'v1' } as const;
const alice = { tenant: 'alice', tenantCreated: 1, prefix };
const said = [20, 21, 22, 23, 24, 25, 26, 27];

/** Lets a sequence say something, a token a step, and learns it. */
function say(drafter: NgramDrafter, changes: Partial<GenerationRequest>, ids: readonly number[]): void {
  const request = makeRequest(changes);
  const tokens = [...request.prompt];
  const sequence = { request, tokens };
  for (const id of ids) {
    tokens.push(id);
    drafter.learn(sequence, 1);
  }
}

/** What is drafted for a sequence that has said this. */
function draft(
  drafter: NgramDrafter,
  changes: Partial<GenerationRequest>,
  ids: readonly number[],
  maxTokens = 4,
): number[] {
  const request = makeRequest(changes);
  return drafter.draft({ request, tokens: [...request.prompt, ...ids] }, maxTokens).map(({ id }) => id);
}

describe('a drafter', () => {
  test('says again what requests under the same prefix version have said', () => {
    const drafter = new NgramDrafter(2 ** 20);
    say(drafter, alice, said);
    expect(draft(drafter, alice, [20, 21])).toEqual([22, 23, 24, 25]);
    expect(draft(drafter, alice, [], 2)).toEqual([20, 21]); // behind the same end of a prompt
    expect(draft(drafter, { ...alice, sampling: { temperature: 1, topP: 1, topK: 0, seed: 1 } }, [20], 1)).toEqual([
      21,
    ]);
  });

  test.each([
    ['another tenant', { tenant: 'bob' }],
    ['a later tenant of the same name', { tenantCreated: 2 }],
    ['another version', { prefix: { ...prefix, version: 'v2' } }],
    ['another placement', { prefix: { ...prefix, placement: 'infix' as const } }],
    ['no prefix', { prefix: undefined }],
    ['a prefix that no version names', { prefix: { ...prefix, version: undefined } }],
  ])('never says it to %s', (_, changes) => {
    const drafter = new NgramDrafter(2 ** 20);
    say(drafter, alice, said);
    expect(draft(drafter, { ...alice, ...changes }, [20, 21])).toEqual([]);
    say(drafter, { ...alice, ...changes }, [50, 51]);
    expect(draft(drafter, alice, [50])).toEqual([]);
  });

  test('keeps what a tenant says without a prefix apart from other tenants too', () => {
    const drafter = new NgramDrafter(2 ** 20);
    say(drafter, { tenant: 'alice' }, said);
    expect(draft(drafter, { tenant: 'alice' }, [20, 21], 1)).toEqual([22]);
    expect(draft(drafter, { tenant: 'bob' }, [20, 21], 1)).toEqual([]);
  });

  test('copies from the prompt and from the source, with tables or without', () => {
    for (const bytes of [0, 2 ** 20]) {
      const drafter = new NgramDrafter(bytes);
      expect(draft(drafter, { prompt: [40, 41, 42, 43, 44, 1] }, [40, 41])).toEqual([42, 43, 44, 1]);
      expect(draft(drafter, { source: [40, 41, 42, 43], prompt: [2] }, [40, 41], 2)).toEqual([42, 43]);
    }
  });

  test('knows how often it is right, by temperature', () => {
    const drafter = new NgramDrafter(2 ** 20);
    const probability = (changes: Partial<GenerationRequest>): number => {
      const request = makeRequest({ ...alice, ...changes });
      return drafter.draft({ request, tokens: [...request.prompt, 20] }, 1)[0]?.probability ?? NaN;
    };
    const warm = { sampling: { temperature: 1, topP: 1, topK: 0, seed: 1 } };
    for (let times = 0; times < 30; times++) say(drafter, alice, said);
    expect(probability({})).toBeGreaterThan(0.9);
    expect(probability(warm)).toBeLessThan(0.6);
    for (let times = 0; times < 30; times++) say(drafter, { ...alice, ...warm }, [20, 60 + times, 100 + times]);
    expect(probability({})).toBeGreaterThan(0.7);
    expect(probability(warm)).toBeLessThan(0.35);
  });

  test('holds no more bytes than it may, and gives up what was used least recently', () => {
    const maxBytes = 2 ** 18;
    const drafter = new NgramDrafter(maxBytes);
    for (let user = 0; user < 40; user++) {
      const text = Array.from({ length: 400 }, (_, at) => mix(user, at) % 10_000);
      say(drafter, { tenant: `user ${user}`, prefix }, text);
      expect(drafter.bytes).toBeLessThanOrEqual(maxBytes);
    }
    expect(drafter.bytes).toBeGreaterThan(maxBytes / 2);
    const ofUser = (user: number): number[] => {
      const text = [0, 1, 2, 3].map((at) => mix(user, at) % 10_000);
      return draft(drafter, { tenant: `user ${user}`, prefix }, text, 1);
    };
    expect(ofUser(39)).toEqual([mix(39, 4) % 10_000]);
    expect(ofUser(0)).toEqual([]);
  });
});
