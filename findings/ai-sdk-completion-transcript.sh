#!/usr/bin/env bash
# The AI SDK's completion models send a transcript of a chat, not the prompt that they are given.
#
# Version:    ai 6.0.326, @ai-sdk/openai-compatible 2.0.92.
# Documented: nothing about it; a question about a raw prompt has been open since 2025: https://github.com/vercel/ai/issues/10272
# Cause:      generateText makes a message of the prompt, and convertToOpenAICompatibleCompletionPrompt writes it between `user:` and
#             `assistant:`, with `\nuser:` as a further stop string. No option turns this off; transformRequestBody is for chat models alone.
# Effect:     a model that was trained to continue a prompt, such as one with a prefix, is asked something else. No error comes.
# Way out:    a `fetch` of one's own, which undoes it.
#
# Run with Node.js and npm, not as part of the tests. Fails if the SDK sends something else. Output of 2026-11-30:
#
# > given  The
# > sent   {"prompt":"user:\nThe\n\nassistant:\n","stop":["\nuser:"]}
# > undone {"prompt":"The"}
set -euo pipefail

script=$(realpath "$0")
place=$(mktemp -d)
cd "$place"
trap 'rm -rf "$place"' EXIT
echo '{"type":"module"}' >package.json
npm install --silent --no-audit --no-fund ai@6.0.326 @ai-sdk/openai-compatible@2.0.92

cat >ask.js <<'END'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText } from 'ai';

const answer = { id: 'a', created: 0, model: 'm', choices: [{ text: 'x', index: 0, finish_reason: 'stop' }] };
let sent;
const server = async (_, { body }) => {
  const { prompt, stop } = JSON.parse(body);
  sent = JSON.stringify({ prompt, stop });
  return Response.json(answer);
};
const raw = (url, { body, ...init }) => {
  const { prompt, stop, ...others } = JSON.parse(body);
  return server(url, { ...init, body: JSON.stringify({ ...others, prompt: /^user:\n([^]*)\n\nassistant:\n$/.exec(prompt)[1] }) });
};
const ask = async (fetch) => {
  const preamble = createOpenAICompatible({ name: 'any', baseURL: 'http://127.0.0.1/v1', fetch });
  await generateText({ model: preamble.completionModel('m'), prompt: 'The' });
  return sent;
};
console.log('given  The');
console.log(`sent   ${await ask(server)}`);
console.log(`undone ${await ask(raw)}`);
END
node ask.js | tee output
sed -n 's/^# > //p' "$script" | diff - output
