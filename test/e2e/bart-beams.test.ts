import { afterAll, beforeAll, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { Generation, RequestPrefix } from '../../src/engine/request.js';
import type { Model } from '../../src/model/model.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { type BartBeamCase, bartBeamCases, describeBarts } from '../support/bart-goldens.js';
import { openTestModel } from '../support/models.js';

const TOLERANCE = 1e-3;

async function collect(generation: Generation) {
  const ids: number[] = [];
  for await (const event of generation) {
    if (event.type === 'token') ids.push(event.id);
    if (event.type === 'finish') return { ids, score: event.score };
  }
  throw new Error('a generation without an end');
}

describeBarts('beam searches', (name, reference) => {
  let model: Model;
  let engine: Engine;
  let cases: [adapter: string, cases: BartBeamCase[]][];

  beforeAll(async () => {
    cases = bartBeamCases(name);
    model = await openTestModel(reference.directory, { slots: 8 });
    const tokenizer = await loadTokenizer(model.tokenizerDirectory);
    engine = new Engine({
      runner: model.runner,
      tokenizer,
      eosTokenIds: model.eosTokenIds,
      limits: { maxSourceTokens: 3 },
    });
  });
  afterAll(() => model.dispose());

  function prefixOf(adapter: string): RequestPrefix | undefined {
    const kv = reference.prefix(adapter === 'base' ? null : adapter);
    return kv && { kv, placement: 'prefix' };
  }

  async function check(testCase: BartBeamCase, prefix: RequestPrefix | undefined): Promise<void> {
    const { source, options, sequences, scores } = testCase;
    const common = {
      ...{ tenant: 'default', source, prompt: [2], prefix, ignoreEos: true, logprobs: undefined },
      stopTokenIds: [options.eos_token_id],
      maxTokens: options.max_new_tokens,
      minTokens: Math.max(0, (options.min_length ?? 0) - 1),
      noRepeatNgramSize: options.no_repeat_ngram_size,
      forcedFirstToken: options.forced_bos_token_id,
      forcedLastToken: options.forced_eos_token_id,
    };
    if (scores === null) {
      const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined };
      const { ids } = await collect(engine.submit({ ...common, sampling, choice: 0, stop: [] }));
      expect([ids]).toEqual(sequences);
      return;
    }
    const { num_beams: width, length_penalty: lengthPenalty = 1, early_stopping: earlyStopping } = options;
    const generations = engine.submitBeams({ ...common, width, lengthPenalty, earlyStopping });
    const found = await Promise.all(generations.map(collect));
    expect(found.map(({ ids }) => ids)).toEqual(sequences);
    found.forEach(({ score = NaN }, i) => expect(Math.abs(score - (scores[i] ?? NaN))).toBeLessThan(TOLERANCE));
  }

  it('find what Transformers finds, each alone', async () => {
    for (const [adapter, each] of cases) for (const one of each) await check(one, prefixOf(adapter));
    engine.checkIntegrity();
  });

  it('find it in company', async () => {
    await Promise.all(cases.flatMap(([adapter, each]) => each.map((one) => check(one, prefixOf(adapter)))));
    engine.checkIntegrity();
  });
});
