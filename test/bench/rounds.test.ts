import { expect, it } from 'vitest';

import { type Contender, measureRounds } from '../../bench/contenders/contender.js';

const visits: string[] = [];

function contender(name: string): Contender {
  let decode = 0;
  return {
    name,
    measure: (rows) => {
      visits.push(`${name}${rows}`);
      return Promise.resolve({ decode: decode++ });
    },
    close: () => Promise.resolve(),
  };
}

it('visits every contender in every round, in turns, and leaves the first round out', async () => {
  const entries = [
    { contender: contender('a'), rows: [1, 8] },
    { contender: contender('b'), rows: [1, 8] },
    { contender: contender('c'), rows: [8] },
  ];
  const kept: number[] = [];
  const rounds = await measureRounds(
    entries,
    { rows: [1, 8], repeats: 2 },
    {
      log: () => undefined,
      onRound: (sofar) => {
        kept.push(sofar.of('a', 1).length);
        return Promise.resolve();
      },
    },
  );
  const there = ['a1', 'b1', 'a8', 'b8', 'c8'];
  const back = ['b1', 'a1', 'c8', 'b8', 'a8'];
  expect(visits).toEqual([...there, ...back, ...there]);
  expect(rounds.of('a', 1).map(({ decode }) => decode)).toEqual([2, 4]);
  expect(rounds.of('c', 1)).toEqual([]);
  expect(kept).toEqual([1, 2]);
});
