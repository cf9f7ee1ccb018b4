import { describe, expect, test } from 'vitest';

import type { GenerationRequest, ScoredToken } from '../../src/engine/request.js';
import { FakeRunner, makeFakeKv, rowOf } from './fake-runner.js';
import { collect, makeEngine, makeRequest, runAlone, sampled } from './harness.js';

/** Scores of the prompt's tokens from the second on, token by token on a runner of their own. */
async function scoreAlone({ prompt, prefix, promptLogprobs = 0 }: GenerationRequest): Promise<ScoredToken[]> {
  const runner = new FakeRunner();
  const prefixIndex = prefix?.placement === 'infix' ? prompt.length - 1 : 0;
  const scores: ScoredToken[] = [];
  let past = 0;
  for (const [i, token] of prompt.slice(0, -1).entries()) {
    if (prefix && i === prefixIndex) {
      await runner.append(0, past, prefix.kv);
      past += prefix.kv.length;
    }
    const output = await runner.step({ rows: [rowOf(token, past++)], topK: 150 });
    const lse = output.lse[0] ?? NaN;
    const ranked = [...output.topIds].map((id, rank) => ({ id, logprob: (output.topLogits[rank] ?? NaN) - lse }));
    const scored = ranked.find(({ id }) => id === prompt[i + 1]);
    scores.push({ id: scored?.id ?? -1, logprob: scored?.logprob ?? NaN, top: ranked.slice(0, promptLogprobs) });
  }
  return scores;
}

const prompt = Array.from({ length: 20 }, (_, i) => (i * 7) % 150);
const placements = [undefined, 'prefix', 'infix'] as const;

describe('prompt log-probabilities', () => {
  const cases = placements.flatMap((placement) => [1, 3, 64].map((maxChunkTokens) => ({ placement, maxChunkTokens })));

  test.each(cases)('are those of scoring the prompt alone, %j', async ({ placement, maxChunkTokens }) => {
    const request = makeRequest({
      prompt,
      prefix: placement && { kv: makeFakeKv(6, 1), placement },
      promptLogprobs: 3,
    });
    const { engine } = makeEngine({}, { limits: { maxChunkTokens } });
    const company = [1, 2].map((token) => collect(engine.submit(makeRequest({ prompt: [token], maxTokens: 30 }))));
    const scored = await collect(engine.submit(request));
    expect(scored.prompt).toEqual(await scoreAlone(request));
    expect(scored.ids).toEqual((await runAlone({ ...request, promptLogprobs: undefined })).ids);
    await Promise.all(company);
    engine.checkIntegrity();
  });

  test.each(placements)('come without a generated token, placement %s', async (placement) => {
    const prefix = placement && { kv: makeFakeKv(6, 1), placement };
    const request = makeRequest({ prompt, prefix, maxTokens: 0, promptLogprobs: 0 });
    const { engine } = makeEngine();
    const { prompt: scores, ...rest } = await collect(engine.submit(request));
    expect(scores).toEqual(await scoreAlone(request));
    expect(rest).toEqual({ ids: [], text: '', reason: 'length', tokens: [] });
    await engine.idle();
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  });

  test('a prompt of one token has none, and needs no step for it', async () => {
    const { engine, runner } = makeEngine();
    const request = makeRequest({ prompt: [1], maxTokens: 0, promptLogprobs: 5 });
    expect(await collect(engine.submit(request))).toMatchObject({ prompt: [], ids: [], reason: 'length' });
    expect(runner.steps).toHaveLength(0);
  });

  test('may ask for more than the vocabulary', async () => {
    const { engine } = makeEngine();
    const scored = await collect(engine.submit(makeRequest({ maxTokens: 0, promptLogprobs: 1000 })));
    expect(scored.prompt.map(({ top }) => top.length)).toEqual([150, 150]);
  });

  test('are the model’s own, whatever is sampled', async () => {
    const adjustments = { bias: new Map([[2, 50]]), repetitionPenalty: 2, frequencyPenalty: 1, presencePenalty: 1 };
    const sampling = { ...sampled(1, 0.7), minP: 0.2, adjustments };
    const request = makeRequest({ sampling, promptLogprobs: 2 });
    expect((await runAlone(request)).prompt).toEqual(await scoreAlone(request));
  });

  test('only a scored prompt has logits computed for all of its tokens', async () => {
    const { engine, runner } = makeEngine({}, { limits: { maxChunkTokens: 12 } });
    for (const promptLogprobs of [undefined, 0]) {
      await collect(engine.submit(makeRequest({ prompt, maxTokens: 1, promptLogprobs })));
    }
    expect(runner.steps.map(({ chunk }) => chunk?.logits)).toEqual(['none', 'last', 'all', 'all']);
  });

  test('stop with the sequence', async () => {
    const { engine, runner } = makeEngine({}, { limits: { maxChunkTokens: 5 } });
    const generation = engine.submit(makeRequest({ prompt, promptLogprobs: 1 }));
    runner.beforeStep = () => {
      if (runner.steps.length === 2) generation.cancel();
    };
    const { prompt: scores, reason } = await collect(generation);
    expect([scores.length, reason]).toEqual([5, 'abort']);
    await engine.idle();
    engine.checkIntegrity();
  });
});
