import path from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import type { BeamRequest, Generation, RequestPrefix } from '../../src/engine/request.js';
import type { Model } from '../../src/model/model.js';
import { selfKv } from '../../src/prefix/kv.js';
import type { ModelTokenizer } from '../../src/tokenizer/token-encoder.js';
import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';
import { type BeamCase, beamGoldens, beamModels, type FloatTensor, golden, readTensors } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';

const TOLERANCE = 1e-4;

interface Hypothesis {
  readonly ids: number[];
  readonly logprob: number;
  readonly score: number;
  readonly reason: string;
}

async function collect(generation: Generation): Promise<Hypothesis> {
  const ids: number[] = [];
  let logprob = 0;
  for await (const event of generation) {
    if (event.type === 'finish') return { ids, logprob, score: event.score as number, reason: event.reason };
    if (event.type !== 'token') continue;
    ids.push(event.id);
    logprob += event.logprob as number;
  }
  throw new Error('a generation without an end');
}

const searches = beamModels().flatMap((name) =>
  beamGoldens(name).map(([adapter, cases]) => ({ name, adapter, cases })),
);

describe.each(searches)('beam search of $name with $adapter', ({ name, adapter, cases }) => {
  const reference = golden(name);
  let model: Model;
  let tokenizer: ModelTokenizer;
  let engine: Engine;
  let prefix: RequestPrefix | undefined;

  beforeAll(async () => {
    model = await openTestModel(reference.directory, { slots: 8 });
    tokenizer = await loadTokenizer(model.tokenizerDirectory);
    if (adapter === 'base') return;
    const tensors = readTensors(path.join(reference.adapter(adapter), 'adapter_model.safetensors'));
    const { shape, data } = tensors['prompt_embeddings'] as FloatTensor;
    prefix = { kv: selfKv(shape[0] as number, data), placement: 'prefix' };
  });
  afterEach(() => {
    engine.checkIntegrity();
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 });
  });
  afterAll(() => model.dispose());

  function start(maxChunkTokens: number): void {
    const { runner, eosTokenIds } = model;
    engine = new Engine({ runner, tokenizer, eosTokenIds, limits: { maxChunkTokens } });
  }

  function requestFor(testCase: BeamCase): BeamRequest {
    return {
      tenant: 'default',
      prompt: testCase.prompt,
      prefix,
      width: testCase.num_beams,
      lengthPenalty: testCase.length_penalty,
      maxTokens: testCase.max_new_tokens,
      stopTokenIds: [testCase.eos_token_id],
      ignoreEos: true,
      logprobs: undefined,
    };
  }

  /** Runs a case and holds it against the reference. */
  async function check(testCase: BeamCase): Promise<void> {
    const { sequences, scores, length_penalty: penalty, eos_token_id: end } = testCase;
    const hypotheses = await Promise.all(engine.submitBeams(requestFor(testCase)).map(collect));
    expect(hypotheses.map(({ ids }) => ids)).toEqual(sequences);
    hypotheses.forEach(({ ids, logprob, score, reason }, i) => {
      expect(Math.abs(score - (scores[i] as number))).toBeLessThan(TOLERANCE);
      expect(Math.abs(logprob / ids.length ** penalty - score)).toBeLessThan(TOLERANCE);
      expect(reason).toBe(ids.at(-1) === end ? 'stop' : 'length');
    });
  }

  it.each([1, 7, 1024])('finds what Transformers finds, chunks of %s', async (maxChunkTokens) => {
    start(maxChunkTokens);
    for (const testCase of cases) await check(testCase);
  });

  it('finds it in company, of beams and of others', async () => {
    start(7);
    const greedy = reference.greedy.cases.filter(({ adapter: other }) => other === null);
    const others = greedy.map(async ({ prompt, ids }) => {
      const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined };
      const common = { tenant: 'default', stop: [], stopTokenIds: [], ignoreEos: false, logprobs: undefined };
      const request = { ...common, prompt, sampling, choice: 0, maxTokens: 24, minTokens: 0 };
      const found: number[] = [];
      for await (const event of engine.submit(request)) if (event.type === 'token') found.push(event.id);
      expect(found).toEqual(ids);
    });
    await Promise.all([...cases.map(check), ...others]);
  });
});
