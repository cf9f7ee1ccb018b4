import path from 'node:path';

import type { Figure, Finding, Suite } from '../../suite.js';
import { openEngine } from '../../contenders/open-engine.js';
import { randomKv } from '../../inputs/stored-prefix.js';
import { serverTarget, uploadPrefix } from '../../load/targets.js';
import { startServer } from '../../process/server-process.js';
import { randomTokens } from '../../load/token-stream.js';
import { PREFIX_COLUMNS, randomPrefix, type UserRequest, userName } from '../../load/workload.js';

const ROWS = 8;
const LENGTHS = [0, 1, 10, 50, 100, 200];
const PROMPT_TOKENS = 32;
const NEW_TOKENS = 48;

/** Cost of long prefixes, which only attention reads (prefix-tuning, footnote 11: nearly free). */
export const prefixLength: Suite = {
  name: 'prefix-length',
  question: `How does decoding at ${ROWS} rows depend on the length of their prefixes?`,
  async run(context) {
    const engine = await openEngine(context, ROWS);
    try {
      const rates = new Map(LENGTHS.map((length) => [length, [] as number[]]));
      for (let round = 0; round <= context.options.repeats; round++) {
        for (const length of round % 2 ? [...LENGTHS].reverse() : LENGTHS) {
          const requests = Array.from({ length: ROWS }, (_, row) => request(userName(row)));
          const prefixes = new Map(requests.map(({ user }) => [user, randomKv(user, length, engine.columns)]));
          const { decode } = await engine.target(length === 0 ? new Map() : prefixes)(requests);
          context.log(`${round === 0 ? 'warm-up' : `round ${round}`}  length ${length}  ${decode.toFixed(1)} tok/s`);
          if (round > 0) rates.get(length)?.push(decode);
        }
      }
      return findings(rates);
    } finally {
      await engine.close();
    }
  },
  async open(context) {
    const server = await startServer(context);
    await server.prepare(async (url) => {
      for (const length of LENGTHS) {
        if (length > 0)
          await uploadPrefix(url, userName(length), randomPrefix(userName(length), PREFIX_COLUMNS, length));
      }
    });
    const target = serverTarget(server.url);
    const measure = async (length: number): Promise<Figure[]> => {
      const model = length === 0 ? path.basename(context.checkpoint) : userName(length);
      const requests = Array.from({ length: ROWS }, (_, row) => ({ ...request(userName(row)), user: model }));
      const { decode } = await target(requests);
      return [{ what: 'tokens per second', at: { 'prefix length': length }, unit: 'tok/s', value: decode }];
    };
    return { steps: LENGTHS.map((length) => () => measure(length)), close: () => server.stop() };
  },
};

function request(user: string): UserRequest {
  return { user, prompt: randomTokens(user, PROMPT_TOKENS), maxTokens: NEW_TOKENS };
}

function findings(rates: ReadonlyMap<number, readonly number[]>): Finding[] {
  const without = rates.get(0) ?? [];
  return [...rates].flatMap(([length, values]): Finding[] => {
    const at = { 'prefix length': length };
    const ratios = values.map((value, round) => value / (without[round] ?? NaN));
    const speed: Finding = { what: 'decode', at, unit: 'tok/s', values };
    return length === 0 ? [speed] : [speed, { what: 'decode, over no prefix', at, unit: 'x', values: ratios }];
  });
}
