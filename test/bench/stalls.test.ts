import { expect, it } from 'vitest';

import { costlyKinds } from '../../bench/load/costly-requests.js';
import { choose } from '../../bench/suites/server/stalls.js';

const kinds = costlyKinds('m');
const names = (words: string[]): string[] => choose(kinds, words).map(({ name }) => name);

it('sends every kind of request, or those with one of the words in their names', () => {
  expect(names([])).toEqual(kinds.map(({ name }) => name));
  expect(names(['form with a', 'mostly refused'])).toEqual([
    'a call of 256 with 128 choices, mostly refused',
    'a form with a prefix of 120 MB',
  ]);
});

it('refuses a word that is in no name', () => {
  expect(() => names(['form', 'nothing'])).toThrow(/^--kinds: 'nothing' is in no name: 128 choices/);
});
