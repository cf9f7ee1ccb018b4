import { describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { base, post, testServer } from './harness.js';
import { byteTokenizer } from './scripted-engine.js';

const url = '/v1/completions';
const minimal = { model: 'tiny', prompt: 'abcabc', max_tokens: 12, temperature: 0, return_token_ids: true };

/** Completions of the real engine on the fake runner. */
async function completer(): Promise<(fields: object) => ReturnType<typeof post>> {
  const { contextLength, vocabularySize } = base;
  const runner = new FakeRunner({ contextLength, vocabularySize });
  const engine = new Engine({ runner, tokenizer: byteTokenizer, eosTokenIds: [0] });
  const { app } = await testServer({}, { engine });
  return (fields) => post(app, url, { ...minimal, ...fields });
}

describe('fields that change what is drawn', () => {
  it.each([
    { presence_penalty: 2 },
    { frequency_penalty: 2 },
    { repetition_penalty: 5 },
    { logit_bias: { '98': 100 } },
    { min_p: 1 },
  ])('%j does something, and its neutral value nothing', async (field) => {
    const complete = await completer();
    // Few tokens, which the model then repeats.
    const few = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [97 + i, 14]));
    const common = { logit_bias: few, temperature: 'min_p' in field ? 2 : 0, seed: 1 };
    const neutral = { presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1, min_p: 0 };
    const [plain, same, other] = await Promise.all(
      [common, { ...neutral, ...common }, { ...common, ...field }].map(complete),
    );
    expect(plain?.status).toBe(200);
    expect(same?.body.choices).toEqual(plain?.body.choices);
    expect(other?.body.choices[0]?.token_ids).toHaveLength(12);
    expect(other?.body.choices[0]?.token_ids).not.toEqual(plain?.body.choices[0]?.token_ids);
  });

  it('a bias of 100 chooses, one of -100 forbids, and min_p 1 is greedy', async () => {
    const complete = await completer();
    const greedy = (await complete({})).body.choices[0]?.token_ids ?? [];
    expect((await complete({ logit_bias: { '98': 100 } })).body.choices[0]?.text).toBe('b'.repeat(12));
    const without = (await complete({ logit_bias: { [`${greedy[0]}`]: -100 } })).body.choices[0]?.token_ids;
    expect(without).not.toContain(greedy[0]);
    const forbidden = await complete({ temperature: 1, min_p: 1, top_k: 1, seed: 3 });
    expect(forbidden.body.choices[0]?.token_ids).toEqual(greedy);
  });
});

describe('best_of', () => {
  const sampled = { temperature: 1.5, seed: 4, logprobs: 0 };

  it('returns the best of all that n would have made, and counts every token', async () => {
    const complete = await completer();
    const prompt = ['ab', 'xyz'];
    const all = (await complete({ ...sampled, prompt, n: 5 })).body.choices;
    const { body } = await complete({ ...sampled, prompt, n: 2, best_of: 5 });
    const mean = ({ logprobs }: (typeof all)[number]): number => {
      const scores = (logprobs?.token_logprobs ?? []).map(Number);
      return scores.reduce((total, score) => total + score, 0) / scores.length;
    };
    const best = [all.slice(0, 5), all.slice(5)].flatMap((ones) => ones.sort((a, b) => mean(b) - mean(a)).slice(0, 2));
    expect(body.choices).toEqual(best.map((choice, index) => ({ ...choice, index })));
    const generated = all.reduce((total, { token_ids }) => total + (token_ids?.length ?? 0), 0);
    expect(body.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: generated });
  });

  it('reports no log-probabilities that nobody asked for', async () => {
    const complete = await completer();
    const { body } = await complete({ ...sampled, logprobs: null, best_of: 3 });
    expect(body.choices).toMatchObject([{ index: 0, logprobs: null }]);
  });
});

describe('echo', () => {
  it('scores a generated text as it was scored when it was generated', async () => {
    const complete = await completer();
    const [generated] = (await complete({ logprobs: 2, ignore_eos: true })).body.choices;
    const prompt = [...byteTokenizer.encode('abcabc'), ...(generated?.token_ids ?? [])];
    const [echoed] = (await complete({ prompt, max_tokens: 0, echo: true, logprobs: 2 })).body.choices;
    expect(echoed?.logprobs?.token_logprobs.slice(6)).toEqual(generated?.logprobs?.token_logprobs);
    expect(echoed?.logprobs?.top_logprobs.slice(6)).toEqual(generated?.logprobs?.top_logprobs);
    expect(echoed?.logprobs?.token_logprobs[0]).toBeNull();
    expect(echoed?.logprobs?.top_logprobs[0]).toBeNull();
    expect(echoed?.text.startsWith('abcabc')).toBe(true);
  });
});
