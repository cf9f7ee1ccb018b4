// The official client against a running server on the bundled model: node examples/openai-client.mjs
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.PREAMBLE_URL ?? 'http://127.0.0.1:8000'}/v1`,
  apiKey: process.env.PREAMBLE_KEY ?? 'none', // with PREAMBLE_API_KEYS set: one of the keys
});

// Each prefix is a model, whose parent is the one frozen model that they share.
for await (const { id, parent } of client.models.list()) {
  console.log(parent ? `prefix ${id} of ${parent}` : `model ${id}`);
}

// One prompt as each user would have it continued. Requests that are under way together share their forward passes.
const request = { prompt: 'The', max_tokens: 24, temperature: 0 };
const models = ['preamble-demo', 'headlines', 'french-flavour'];
const answers = await Promise.all(models.map((model) => client.completions.create({ ...request, model })));
for (const { model, choices } of answers) console.log(`${model}: ${request.prompt}${choices[0].text}`);

// A prefix of a user's own, made of text, no training needed. The client has no method for it, but it can call any route.
const alice = await client.post('/prefixes', { body: { name: 'users/alice', text: 'Dear customer, thank you.' } });
console.log(`made ${alice.name} of ${alice.num_virtual_tokens} virtual tokens`);

// As a stream. Fields that OpenAI does not have, as `min_tokens`, go along as they are.
const stream = await client.completions.create({ ...request, model: alice.name, min_tokens: 8, stream: true });
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.text ?? '');
console.log();

// What the server refuses is thrown, with the field that is at fault.
try {
  await client.completions.create({ ...request, model: 'headlines', temperature: 3 });
} catch (error) {
  if (!(error instanceof OpenAI.BadRequestError)) throw error;
  console.log(`refused: ${error.param} (${error.code})`);
}

await client.delete(`/prefixes/${encodeURIComponent(alice.name)}`);
