import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { CompletionRequest } from '../../src/completions/request/schema.js';

const page = readFileSync(new URL('../../docs/requests.md', import.meta.url), 'utf8');

it('every field of a completion request is in a table of docs/requests.md, and no other', () => {
  const rows = page.split('\n').flatMap((line) => /^\| (`[^|]+)\|/.exec(line)?.[1] ?? []);
  const documented = rows.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const fields = Object.keys(CompletionRequest.properties).filter((name) => name !== 'model' && name !== 'prompt');
  expect([...new Set(documented)].sort()).toEqual(fields.sort());
});
