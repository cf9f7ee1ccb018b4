// The official client against a running server: node examples/openai-client.mjs
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.PREAMBLE_URL ?? 'http://127.0.0.1:8000'}/v1`,
  apiKey: process.env.PREAMBLE_KEY ?? 'none',
});

for await (const { id, parent } of client.models.list())
  console.log(parent ? `prefix ${id} of ${parent}` : `model ${id}`);

const request = { model: 'headlines', prompt: 'The', max_tokens: 24, temperature: 0 };
const whole = await client.completions.create(request);
console.log(whole.choices[0].text, whole.usage);

const stream = await client.completions.create({ ...request, stream: true });
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.text ?? '');
console.log();

// Fields that OpenAI does not have go along as they are.
const greedy = await client.completions.create({ ...request, top_k: 1, min_tokens: 8, return_token_ids: true });
console.log(greedy.choices[0].token_ids);
