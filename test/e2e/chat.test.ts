import path from 'node:path';

import OpenAI from 'openai';
import { expect, it } from 'vitest';

import { compileModel } from '../../src/model/compile/compiled-model.js';
import { temporaryDirectory } from '../server/prefix-library.js';
import { chattyModel } from '../support/chatty-model.js';
import { realServer, uploadBundled } from '../support/real-server.js';

it('a model with a chat template answers conversations, compiled or not, with each user’s prefix', async () => {
  const directory = await temporaryDirectory();
  const chatty = await chattyModel(directory);
  const cache = path.join(directory, 'cache');
  const compiled = await compileModel({ source: chatty, cache });
  for (const model of [chatty, compiled]) {
    const { url } = await realServer({ model, modelName: 'chatty', cache });
    await uploadBundled(url, 'table-to-text');
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
    for (const name of ['chatty', 'table-to-text']) {
      const answer = await client.chat.completions.create({
        model: name,
        messages: [{ role: 'user', content: ' The Larch House ' }],
        max_completion_tokens: 12,
        temperature: 0,
        logprobs: true,
      });
      const prompt = 'user: The Larch House\nname: ';
      const completion = await client.completions.create({
        model: name,
        prompt,
        max_tokens: 12,
        temperature: 0,
        logprobs: 0,
      });
      const [choice] = answer.choices;
      const [expected] = completion.choices;
      expect(choice?.message.content).toBe(expected?.text);
      expect(choice?.logprobs?.content?.map(({ token }) => token)).toEqual(expected?.logprobs?.tokens);
      expect(answer.usage).toEqual(completion.usage);
    }
  }
}, 120_000);
