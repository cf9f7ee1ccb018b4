import OpenAI, { toFile } from 'openai';
import { expect, it } from 'vitest';

import { modelCache } from '../support/models.js';
import { randomBart } from '../support/random-bart.js';
import { realServer } from '../support/real-server.js';

const BASE = 'random-bart';
const EXAMPLES = Array.from({ length: 8 }, (_, i) => ({
  prompt: `Question ${i}: what is it?`,
  completion: 'Forty-two.',
}));
/** What makes a job short and its prefix different from nothing. */
const quick = { length: 3, mlp: 8, learning_rate: 0.05, max_steps: 12 };

it('trains a BART at the sites asked for, serves the prefix, and goes on from it', async () => {
  const { url } = await realServer({ model: randomBart().directory, cache: modelCache });
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const lines = EXAMPLES.map((example) => JSON.stringify(example)).join('\n');
  const { id: training_file } = await client.files.create({
    file: await toFile(Buffer.from(lines), 'data.jsonl'),
    purpose: 'fine-tune',
  });
  const create = (body: object): Promise<OpenAI.FineTuning.FineTuningJob> =>
    client.fineTuning.jobs.create({ model: BASE, suffix: 'short', training_file, ...body });
  const train = async (body: object) => {
    const { id } = await create(body);
    const look = async (): Promise<string> => (await client.fineTuning.jobs.retrieve(id)).status;
    await expect.poll(look, { timeout: 60_000, interval: 50 }).toBeOneOf(['succeeded', 'failed']);
    return client.fineTuning.jobs.retrieve(id);
  };
  const stored = () => client.get<Record<string, unknown>>('/prefixes/short');
  const firstLogprob = async (model: string): Promise<number> => {
    const answer = await client.completions.create({
      model,
      prompt: 'Question 3: what is it?',
      temperature: 0,
      logprobs: 1,
    });
    return answer.choices[0]!.logprobs!.token_logprobs![0]!;
  };

  const trained = await train({ prefix_tuning: { ...quick, sites: ['cross', 'encoder'], loss_mean: 'tokens' } });
  expect(trained).toMatchObject({ status: 'succeeded', error: null, trained_tokens: expect.any(Number) });
  expect(trained).toMatchObject({ prefix_tuning: { sites: ['cross', 'encoder'], loss_mean: 'tokens' } });
  expect(await stored()).toMatchObject({ kind: 'prefix', num_virtual_tokens: 3, sites: { encoder: 3, cross: 3 } });
  expect(await firstLogprob(trained.fine_tuned_model!)).not.toBeCloseTo(await firstLogprob(BASE), 3);

  const more = { model: trained.fine_tuned_model, prefix_tuning: { ...quick, length: null, max_steps: 2 } };
  const continued = await train(more);
  expect(continued).toMatchObject({ status: 'succeeded', error: null });
  expect(continued.fine_tuned_model).not.toBe(trained.fine_tuned_model);
  expect(await stored()).toMatchObject({ sites: { encoder: 3, cross: 3 } });
  expect((await train({ ...more, prefix_tuning: { ...more.prefix_tuning, sites: ['decoder'] } })).error).toEqual({
    code: 'invalid_value',
    message: 'prefix_tuning.sites: decoder, but the adapter has rows at encoder, cross',
    param: 'prefix_tuning.sites',
  });

  expect((await train({ prefix_tuning: { ...quick, max_steps: 1 } })).error).toBeNull();
  expect(await stored()).toMatchObject({ sites: { encoder: 3, decoder: 3, cross: 3 } });
  await expect(create({ prefix_tuning: { ...quick, method: 'infix' } })).rejects.toMatchObject({
    ...{ status: 400, param: 'prefix_tuning.method' },
    message: expect.stringContaining('the model is an encoder-decoder'),
  });
});
