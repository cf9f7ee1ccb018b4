import { describe, expect, it } from 'vitest';

import { Engine } from '../../src/engine/engine.js';
import { FakeRunner } from '../engine/fake-runner.js';
import { base, post, testServer } from './harness.js';
import { byteTokenizer } from './scripted-engine.js';

const minimal = { model: 'tiny', prompt: 'abc', max_tokens: 6, use_beam_search: true };

describe('a completion by beam search', () => {
  const url = '/v1/completions';

  /** Completions of the real engine on the fake runner, which has four slots. */
  async function completer() {
    const { contextLength, vocabularySize } = base;
    const engine = new Engine({
      runner: new FakeRunner({ contextLength, vocabularySize, slots: 4 }),
      tokenizer: byteTokenizer,
      eosTokenIds: [0],
    });
    const { app } = await testServer({}, { engine });
    return (fields: object) => post(app, url, { ...minimal, return_token_ids: true, ...fields });
  }

  const sum = (values: readonly (number | null)[] = []): number =>
    values.reduce<number>((total, value) => total + (value ?? 0), 0);

  it('returns the n best of the width, best first, and counts the tokens of all', async () => {
    const complete = await completer();
    const prompt = ['abc', 'x', 'abc'];
    const all = (await complete({ prompt, n: 4, logprobs: 1, ignore_eos: true })).body;
    const { choices, usage } = (await complete({ prompt, n: 2, best_of: 4, logprobs: 1, ignore_eos: true })).body;
    expect(all.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(choices.map(({ token_ids }) => token_ids)).toEqual(
      [0, 1, 4, 5, 8, 9].map((index) => all.choices[index]?.token_ids),
    );
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(all.choices.slice(8).map(({ text }) => text)).toEqual(all.choices.slice(0, 4).map(({ text }) => text));
    const scores = all.choices.slice(0, 4).map(({ logprobs }) => sum(logprobs?.token_logprobs) / 6);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(new Set(scores).size).toBe(4);
    expect(usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 12 * 6 });
    expect(all.choices.every(({ finish_reason: reason }) => reason === 'length')).toBe(true);
  });

  it('finds what is likelier than the greedy answer', async () => {
    const complete = await completer();
    const plain = { use_beam_search: false, temperature: 0, logprobs: 0 };
    const [greedy] = (await complete(plain)).body.choices;
    const [best] = (await complete({ best_of: 4, logprobs: 0 })).body.choices;
    expect(sum(best?.logprobs?.token_logprobs)).toBeGreaterThan(sum(greedy?.logprobs?.token_logprobs));
  });

  it('a text ends before the end token, which counts', async () => {
    const complete = await completer();
    const ends = Array.from({ length: 40 }, (_, i) => 6 * i + 1);
    const { choices, usage } = (await complete({ n: 4, stop_token_ids: ends, length_penalty: 0 })).body;
    const stopped = choices.filter(({ finish_reason: reason }) => reason === 'stop');
    expect(stopped.length).toBeGreaterThan(0);
    for (const { token_ids: ids = [], text } of stopped) {
      expect(ids.findIndex((id) => ends.includes(id))).toBe(ids.length - 1);
      expect(text).toBe(new TextDecoder().decode(Uint8Array.from(ids.slice(0, -1))));
    }
    expect(usage.completion_tokens).toBe(choices.flatMap(({ token_ids: ids = [] }) => ids).length);
  });

  it('begins with the prompt and its scores where echo asks for it', async () => {
    const complete = await completer();
    const { choices } = (await complete({ n: 2, echo: true, logprobs: 0 })).body;
    const [scored] = (
      await complete({ use_beam_search: false, temperature: 0, echo: true, logprobs: 0, max_tokens: 0 })
    ).body.choices;
    for (const { text, logprobs } of choices) {
      expect(text.startsWith('abc')).toBe(true);
      expect(logprobs?.token_logprobs.slice(0, 3)).toEqual(scored?.logprobs?.token_logprobs);
      expect(logprobs?.token_logprobs).toHaveLength(9);
    }
  });

  it.each([
    [{ n: 5 }, 'n'],
    [{ best_of: 5 }, 'best_of'],
  ])('refuses more beams than slots: %j', async (fields, param) => {
    const { status, body } = await (await completer())(fields);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_value', param });
    expect(body.error.message).toContain('1 to 4');
  });

  it.each([[{ length_penalty: 11 }], [{ length_penalty: 'long' }], [{ use_beam_search: 'yes' }]])(
    'refuses %j',
    async (fields) => {
      const { status, body } = await (await completer())(fields);
      expect(status).toBe(400);
      expect(body.error.param).toBe(Object.keys(fields)[0]);
    },
  );

  it('is one of a batch, but not of a streamed one', async () => {
    const { contextLength, vocabularySize } = base;
    const engine = new Engine({
      runner: new FakeRunner({ contextLength, vocabularySize }),
      tokenizer: byteTokenizer,
      eosTokenIds: [0],
    });
    const { app } = await testServer({}, { engine });
    const requests = [{ custom_id: 'a', body: minimal }];
    const { body } = await post(app, '/v1/batch/completions', { requests });
    expect(body.data[0]?.response).toMatchObject({ status_code: 200, body: { choices: [{ index: 0 }] } });
    const streamed = await post(app, '/v1/batch/completions', { requests, stream: true });
    expect(streamed.text).toContain(`'stream' must be false or left out`);
  });
});
