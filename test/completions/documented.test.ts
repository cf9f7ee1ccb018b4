import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { ChatRequest } from '../../src/completions/chat/schema.js';
import { CompletionRequest } from '../../src/completions/request/schema.js';

const page = readFileSync(new URL('../../docs/requests.md', import.meta.url), 'utf8');

/** Names in the first cells of the tables in a part of the page. */
function fieldsIn(part: string): string[] {
  const rows = part.split('\n').flatMap((line) => /^\| (`[^|]+)\|/.exec(line)?.[1] ?? []);
  return [...new Set(rows.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)))].sort();
}

const [before = '', conversations = ''] = page.split('\n## Conversations\n');
const own = Object.keys(CompletionRequest.properties).filter((name) => name !== 'model' && name !== 'prompt');
const chat = Object.keys(ChatRequest.properties);

it('every field of a completion request is in a table of docs/requests.md, and no other', () => {
  expect(fieldsIn(before)).toEqual(own.sort());
});

it('the table of conversations has every field that only they have, and those that they have not', () => {
  const documented = fieldsIn(conversations);
  const only = chat.filter((name) => name !== 'model' && !own.includes(name));
  const not = [...own, 'prompt'].filter((name) => !chat.includes(name));
  expect(documented).toEqual(expect.arrayContaining([...only, ...not]));
  for (const name of documented) expect([...chat, ...own, 'prompt']).toContain(name);
});
