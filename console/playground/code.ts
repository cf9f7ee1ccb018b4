import { chatOf, completionOf } from './requests.js';
import type { Setup } from './setup.js';

/** What a run is written in. */
export const LANGUAGES = ['curl', 'Python', 'JavaScript'] as const;
export type Language = (typeof LANGUAGES)[number];

interface CodeOptions {
  /** Address of the API, with its `/v1`. */
  readonly baseUrl: string;
  readonly needsKey: boolean;
  readonly isChat: boolean;
}

/** Fields of a request that OpenAI's Python client has no names for. */
const EXTRA = ['top_k', 'min_p', 'repetition_penalty'];

/** A program that makes the same requests. A key is in none of them: it is read from the environment. */
export function codeOf(setup: Setup, language: Language, options: CodeOptions): string {
  const bodies = setup.models.map((model) =>
    options.isChat ? chatOf({ ...setup }, model, []) : completionOf(setup, model),
  );
  const write = { curl: writeCurl, Python: writePython, JavaScript: writeJavaScript }[language];
  return write(bodies, options);
}

function writeCurl(bodies: readonly object[], { baseUrl, needsKey, isChat }: CodeOptions): string {
  const key = needsKey ? ` \\\n  -H "Authorization: Bearer $PREAMBLE_KEY"` : '';
  const post = (path: string, body: object): string =>
    `curl -N ${baseUrl}/${path} -H 'content-type: application/json'${key} \\\n  -d ${quoteForShell(JSON.stringify(body, null, 2))}`;
  if (isChat) return bodies.map((body) => post('chat/completions', { ...body, stream: true })).join('\n\n');
  const requests = bodies.map((body, index) => ({ custom_id: String(index), body }));
  return post('batch/completions', { stream: true, requests });
}

function writePython(bodies: readonly object[], { baseUrl, needsKey, isChat }: CodeOptions): string {
  const method = isChat ? 'chat.completions' : 'completions';
  const text = isChat ? 'choices[0].message.content' : 'choices[0].text';
  const key = needsKey ? 'os.environ["PREAMBLE_KEY"]' : '"none"';
  return [
    'import asyncio',
    ...(needsKey ? ['import os'] : []),
    '',
    'from openai import AsyncOpenAI',
    '',
    `client = AsyncOpenAI(base_url=${JSON.stringify(baseUrl)}, api_key=${key})`,
    'requests = [',
    ...bodies.map((body) => `    ${writeDict(withExtraBody(body))},`),
    ']',
    '',
    '',
    'async def main():',
    '    # Sent at the same time, they are computed in the same batch.',
    `    answers = await asyncio.gather(*(client.${method}.create(**request) for request in requests))`,
    '    for request, answer in zip(requests, answers):',
    `        print(request["model"], answer.${text}, sep=": ")`,
    '',
    '',
    'asyncio.run(main())',
    '',
  ].join('\n');
}

function writeJavaScript(bodies: readonly object[], { baseUrl, needsKey, isChat }: CodeOptions): string {
  const method = isChat ? 'chat.completions' : 'completions';
  const text = isChat ? 'choices[0].message.content' : 'choices[0].text';
  const key = needsKey ? 'process.env.PREAMBLE_KEY' : "'none'";
  return [
    "import OpenAI from 'openai';",
    '',
    `const client = new OpenAI({ baseURL: ${JSON.stringify(baseUrl)}, apiKey: ${key} });`,
    'const requests = [',
    ...bodies.map((body) => `  ${JSON.stringify(body)},`),
    '];',
    '// Sent at the same time, they are computed in the same batch.',
    `const answers = await Promise.all(requests.map((request) => client.${method}.create(request)));`,
    'for (const [index, answer] of answers.entries()) {',
    `  console.log(\`\${requests[index].model}: \${answer.${text}}\`);`,
    '}',
    '',
  ].join('\n');
}

function withExtraBody(body: object): object {
  const entries = Object.entries(body);
  const extra = Object.fromEntries(entries.filter(([name]) => EXTRA.includes(name)));
  const known = Object.fromEntries(entries.filter(([name]) => !EXTRA.includes(name)));
  return Object.keys(extra).length === 0 ? known : { ...known, extra_body: extra };
}

/** JSON of texts, numbers, arrays and objects is Python too, but for what is not ASCII on some terminals. */
function writeDict(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** One word of a shell that stands for exactly this text. */
function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
