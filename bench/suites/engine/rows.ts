import type { Finding, Suite } from '../../suite.js';
import { openEngine } from '../../contenders/open-engine.js';
import { randomKv } from '../../inputs/stored-prefix.js';
import { randomTokens } from '../../load/token-stream.js';
import { type UserRequest, userName } from '../../load/workload.js';

const ROWS = [1, 2, 4, 8, 16, 32, 64, 128];
const MOST = Math.max(...ROWS);
/** Length of the prefix. With a prompt of one token, all rows decode from their first step on, at the measured context. */
const PREFIX_TOKENS = 112;
const NEW_TOKENS = 32;

/** Gain of more rows in a step, which reads the weights once for all of them. */
export const rows: Suite = {
  name: 'rows',
  question: `How does decoding depend on the number of rows, 1 to ${MOST}, each with a prefix of ${PREFIX_TOKENS}?`,
  async run(context) {
    const engine = await openEngine(context, MOST);
    try {
      const requests = Array.from({ length: MOST }, (_, row) => request(userName(row)));
      // One prefix for all rows: 128 prefixes would take a gigabyte, and every slot has its own copy anyway.
      const prefix = randomKv('prefix', PREFIX_TOKENS, engine.columns);
      const target = engine.target(new Map(requests.map(({ user }) => [user, prefix])));
      const rates = new Map(ROWS.map((rows) => [rows, [] as number[]]));
      for (let round = 0; round <= context.options.repeats; round++) {
        for (const rows of round % 2 ? [...ROWS].reverse() : ROWS) {
          const { decode } = await target(requests.slice(0, rows));
          context.log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${rows} rows  ${decode.toFixed(1)} tok/s`);
          if (round > 0) rates.get(rows)?.push(decode);
        }
      }
      return findings(rates);
    } finally {
      await engine.close();
    }
  },
};

function request(user: string): UserRequest {
  return { user, prompt: randomTokens(user, 1), maxTokens: NEW_TOKENS };
}

function findings(rates: ReadonlyMap<number, readonly number[]>): Finding[] {
  const alone = rates.get(1) ?? [];
  return [...rates].flatMap(([rows, values]): Finding[] => {
    const ratios = values.map((value, round) => value / (alone[round] ?? NaN));
    const speed: Finding = { what: 'decode', at: { rows }, unit: 'tok/s', values };
    return rows === 1 ? [speed] : [speed, { what: 'decode, over one row', at: { rows }, unit: 'x', values: ratios }];
  });
}
