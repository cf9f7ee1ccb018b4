import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { GenerationRequest } from '../../src/engine/request.js';
import type { Model } from '../../src/model/model.js';
import { type Collected, collect, letters, makeRequest } from '../engine/harness.js';
import { type OracleKind, OracleDrafts, ORACLES } from '../engine/oracle-drafts.js';
import { prefixOf } from '../support/golden-prefix.js';
import { golden, goldenNames } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

/** How far log-probabilities may be from those of Transformers and PEFT. */
const TOLERANCE = 1e-3;
/** How far log-probabilities of steps with drafts may be from those of steps without: rounding, where a row is alone. */
const ROUNDING = 2e-5;

describe.each(goldenNames())('%s with drafts', (name) => {
  const reference = golden(name);
  const { cases } = reference.greedy;
  let model: Model;
  let requests: readonly GenerationRequest[];

  beforeAll(async () => {
    model = await openTestModel(reference.directory, { slots: 4 });
    requests = await Promise.all(
      cases.map(async (one) => {
        const kv = await prefixOf(model, reference, one);
        const prefix = kv && ({ kv, placement: 'prefix' } as const);
        return makeRequest({ prompt: one.prompt, maxTokens: one.ids.length, logprobs: 1, prefix });
      }),
    );
  });
  afterAll(() => model.dispose());

  async function answers(
    all: readonly GenerationRequest[],
    size: number,
    drafting?: OracleDrafts,
  ): Promise<Collected[]> {
    const engine = new Engine({ runner: model.runner, tokenizer: letters, eosTokenIds: [], drafting });
    const collected: Collected[] = [];
    for (let at = 0; at < all.length; at += size) {
      const some = all.slice(at, at + size).map((request) => collect(engine.submit(request)));
      collected.push(...(await Promise.all(some)));
    }
    await engine.idle();
    engine.checkIntegrity();
    return collected;
  }

  /** Knows the answers to all requests, in their order. */
  function oracleOf(
    kind: OracleKind,
    all: readonly GenerationRequest[],
    known: readonly { readonly ids: readonly number[] }[],
  ) {
    const oracle = new OracleDrafts(kind, model.base.vocabularySize);
    all.forEach((request, i) => oracle.know(request, known[i]?.ids ?? []));
    return oracle;
  }

  for (const kind of ORACLES) {
    it.each([1, 4])(`that are ${kind} continues every case as Transformers and PEFT do, %i at a time`, async (size) => {
      const oracle = oracleOf(kind, requests, cases);
      const collected = await answers(requests, size, oracle);
      collected.forEach(({ ids, tokens }, i) => {
        const expected = cases[i];
        expect(ids, expected?.id).toEqual(expected?.ids);
        expect(
          differenceOf(
            tokens.map(({ logprob }) => logprob ?? NaN),
            expected?.logprobs ?? [],
          ),
        ).toBeLessThan(TOLERANCE);
      });
      expect(oracle.numDrafted).toBeGreaterThan(0);
      if (kind === 'right') expect(oracle.numAccepted).toBe(oracle.numDrafted);
    });

    it.each([1, 4])(`that are ${kind} draws the same tokens, %i at a time`, async (size) => {
      const sampling = { temperature: 0.9, topP: 0.95, topK: 0, seed: 5 };
      const sampled = requests.map((request, choice) => ({ ...request, sampling, choice, maxTokens: 12 }));
      const expected = await answers(sampled, size);
      const oracle = oracleOf(kind, sampled, expected);
      const collected = await answers(sampled, size, oracle);
      collected.forEach(({ ids, tokens }, i) => {
        expect(ids).toEqual(expected[i]?.ids);
        const others = expected[i]?.tokens ?? [];
        expect(differenceOf(tokens.map(logprobOf), others.map(logprobOf))).toBeLessThan(ROUNDING);
      });
      expect(oracle.numDrafted).toBeGreaterThan(0);
    });
  }
});

function logprobOf({ logprob = NaN }: { readonly logprob?: number }): number {
  return logprob;
}

function differenceOf(a: readonly number[], b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] ?? NaN))), 0);
}
