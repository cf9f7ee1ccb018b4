import { describe, expect, test } from 'vitest';

import { adjustLogits, type TokenHistory } from '../../src/engine/sampling/adjustments.js';
import type { GenerationRequest, LogitAdjustments } from '../../src/engine/request.js';
import { FakeRunner, rowOf } from './fake-runner.js';
import { collect, makeEngine, makeRequest } from './harness.js';

const neutral: LogitAdjustments = {
  bias: new Map(),
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
};

/** The prompt is 0 and 1; 1 was generated once, 2 twice. */
const history: TokenHistory = { tokens: [0, 1, 2, 1, 2], numGeneratedTokens: 3 };

function adjusted(changes: Partial<LogitAdjustments>, logits = [4, -4, 2, 1]): number[] {
  const row = Float32Array.from(logits);
  adjustLogits(row, { ...neutral, ...changes }, history);
  return [...row];
}

describe('adjustLogits', () => {
  test.each<[string, Partial<LogitAdjustments>, number[]]>([
    ['nothing', {}, [4, -4, 2, 1]],
    ['presence, once for what was generated', { presencePenalty: 0.5 }, [4, -4.5, 1.5, 1]],
    ['presence below 0', { presencePenalty: -2 }, [4, -2, 4, 1]],
    ['frequency, for each time', { frequencyPenalty: 0.5 }, [4, -4.5, 1, 1]],
    ['frequency and presence', { frequencyPenalty: 1, presencePenalty: 1 }, [4, -6, -1, 1]],
    ['repetition, by sign, over prompt and generated', { repetitionPenalty: 2 }, [2, -8, 1, 1]],
    ['repetition below 1', { repetitionPenalty: 0.5 }, [8, -2, 4, 1]],
    ['bias', { bias: new Map([[3, 100], [0, -100], [1, 0]]) }, [-96, -4, 2, 101]], // prettier-ignore
    ['bias before repetition before presence', { bias: new Map([[2, -4]]), repetitionPenalty: 2, presencePenalty: 1 }, [2, -9, -5, 1]], // prettier-ignore
    ['an id beyond the vocabulary', { bias: new Map([[9, 1]]) }, [4, -4, 2, 1]],
  ])('%s', (_, changes, expected) => {
    expect(adjusted(changes)).toEqual(expected);
  });

  test('a token that may not be chosen stays so', () => {
    const everything = { bias: new Map([[1, 100]]), repetitionPenalty: 0.5, frequencyPenalty: -2, presencePenalty: -2 };
    expect(adjusted(everything, [0, -Infinity, 0, 0])[1]).toBe(-Infinity);
  });

  test('a tiny repetition penalty leaves numbers', () => {
    expect(adjusted({ repetitionPenalty: 1e-320 }).every(Number.isFinite)).toBe(true);
  });
});

describe('a sequence with adjustments', () => {
  const strong = { ...neutral, repetitionPenalty: 1.3, frequencyPenalty: 1.5, presencePenalty: -0.25 };
  const cases: [string, Partial<LogitAdjustments>][] = [
    ['presence_penalty', { presencePenalty: 2 }],
    ['frequency_penalty', { frequencyPenalty: 2 }],
    ['a frequency_penalty that rewards', { frequencyPenalty: -2 }],
    ['repetition_penalty', { repetitionPenalty: 3 }],
    ['logit_bias', { bias: new Map([[7, 3], [8, -100]]) }], // prettier-ignore
    ['all of them', { ...strong, bias: new Map([[3, 2]]) }],
  ];

  /** Greedy tokens as vLLM computes them, step by step and without the engine. */
  async function reference(
    { prompt, maxTokens, minTokens, stopTokenIds }: GenerationRequest,
    changes: LogitAdjustments,
  ) {
    const runner = new FakeRunner({ vocabularySize: 20 });
    const tokens = [...prompt];
    for (let past = 0; tokens.length < prompt.length + maxTokens; past++) {
      const output = await runner.step({ rows: [rowOf(tokens[past] ?? -1, past)], topK: 1 });
      if (past < tokens.length - 1) continue;
      const generated = tokens.slice(prompt.length);
      const scores = [...output.logits(0)].map((logit, id) => {
        const count = generated.filter((token) => token === id).length;
        const biased = logit + (changes.bias.get(id) ?? 0);
        const isSeen = tokens.includes(id);
        const repelled = isSeen ? (biased > 0 ? biased / changes.repetitionPenalty : biased * changes.repetitionPenalty) : biased; // prettier-ignore
        const score = repelled - changes.frequencyPenalty * count - (count > 0 ? changes.presencePenalty : 0);
        return generated.length < minTokens && stopTokenIds.includes(id) ? -Infinity : Math.fround(score);
      });
      tokens.push(scores.indexOf(Math.max(...scores)));
    }
    return tokens.slice(prompt.length);
  }

  test.each(cases)('%s: has the tokens of the reference', async (_, changes) => {
    const adjustments = { ...neutral, ...changes };
    const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined, adjustments };
    const request = makeRequest({ prompt: [5, 7, 5, 9], sampling, maxTokens: 40 });
    const { engine } = makeEngine({ vocabularySize: 20 });
    const expected = await reference(request, adjustments);
    expect((await collect(engine.submit(request))).ids).toEqual(expected);
    expect(expected).not.toEqual(await reference(request, neutral));
  });

  test('may not end before min_tokens, whatever the bias', async () => {
    const adjustments = { ...neutral, bias: new Map([[15, 100]]) };
    const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined, adjustments };
    const request = makeRequest({ sampling, stopTokenIds: [15], minTokens: 3, maxTokens: 4 });
    const { ids, reason } = await collect(makeEngine({ vocabularySize: 20 }).engine.submit(request));
    expect(ids).toEqual(await reference(request, adjustments));
    expect(ids).toHaveLength(4);
    expect([ids.indexOf(15), reason]).toEqual([3, 'stop']);
  });

  test('draws by the changed logits and reports the model’s own log-probabilities', async () => {
    const adjustments = { ...neutral, bias: new Map([[77, 100]]) };
    const sampling = { temperature: 1, topP: 0.9, topK: 0, minP: 0.1, seed: 1, adjustments };
    const { tokens } = await collect(makeEngine().engine.submit(makeRequest({ sampling, logprobs: 1, maxTokens: 3 })));
    const plain = await collect(makeEngine().engine.submit(makeRequest({ logprobs: 1, maxTokens: 1 })));
    expect(tokens.map(({ id }) => id)).toEqual([77, 77, 77]);
    expect(tokens[0]?.top).toEqual(plain.tokens[0]?.top);
    expect(tokens[0]?.logprob).toBeLessThan([...(tokens[0]?.top ?? [])][0]?.logprob ?? -Infinity);
  });

  test('another sequence of the batch does not read its whole row', async () => {
    const { engine, runner } = makeEngine();
    const step = runner.step.bind(runner);
    const read: number[] = [];
    runner.step = async (input) => {
      const output = await step(input);
      return { ...output, logits: (row) => (read.push(row), output.logits(row)) };
    };
    await collect(engine.submit(makeRequest()));
    expect(read).toEqual([]);
    const sampling = { temperature: 0, topP: 1, topK: 0, seed: undefined, adjustments: strong };
    await Promise.all([
      collect(engine.submit(makeRequest({ prompt: [1], maxTokens: 5 }))),
      collect(engine.submit(makeRequest({ prompt: [2], maxTokens: 5, sampling }))),
    ]);
    expect(read).toEqual([1, 1, 1, 1, 1]);
  });
});
