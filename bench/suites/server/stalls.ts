import path from 'node:path';

import { type CostlyKind, costlyKinds } from '../../load/costly-requests.js';
import { CostlySender } from '../../load/costly-sender.js';
import { type Delays, DelayWatch } from '../../load/delay-watch.js';
import { randomModel } from '../../inputs/random-model.js';
import { startServer } from '../../process/server-process.js';
import type { BenchContext, Figure, Finding, Suite } from '../../suite.js';

/** GPT-2's vocabulary and context, and steps that cost next to nothing: the server's own work comes first. */
const SHAPE = { layers: 2, width: 64, heads: 1, contextLength: 1024 };
const NAME = 'small';
const ALL = 'the worst of all';

/** How long requests that cost much make others wait. */
export const stalls: Suite = {
  name: 'stalls',
  question: 'How long does one request that costs much keep others waiting?',
  async run(context) {
    const probe = await open(context);
    try {
      const rounds: Figure[][] = [];
      for (let round = 0; round <= context.options.repeats; round++) {
        const figures: Figure[] = [];
        for (const step of probe.steps) {
          figures.push(...(await step()));
          const [wait, gap] = figures.slice(-2);
          context.log(
            `${round === 0 ? 'warm-up' : `round ${round}`}  ${wait?.value.toFixed(0)} ms, stream ${gap?.value.toFixed(0)} ms  ${String(wait?.at?.['beside'])}`,
          );
        }
        if (round > 0) rounds.push(figures);
        await context.keep(toFindings(rounds, context.options.kinds));
      }
      return toFindings(rounds, context.options.kinds);
    } finally {
      await probe.close();
    }
  },
  open,
};

async function open(context: BenchContext) {
  const kinds = choose(costlyKinds(NAME), context.options.kinds);
  const checkpoint = await randomModel(path.dirname(context.checkpoint), SHAPE);
  const server = await startServer(context, { PREAMBLE_MODEL: checkpoint, PREAMBLE_MODEL_NAME: NAME });
  const ask = { model: NAME, prompt: [1, 2, 3], maxTokens: 1000 };
  const watch = new DelayWatch({ url: server.url, ask });
  const sender = new CostlySender();
  const measure = async (name: string, work: () => Promise<unknown>): Promise<Figure[]> => {
    await watch.read();
    await work();
    return toFigures(name, await watch.read());
  };
  const idle = () => measure('nobody', () => new Promise((resolve) => setTimeout(resolve, 1000)));
  const costly = kinds.map(
    ({ name }) =>
      () =>
        measure(name, () => sender.send({ url: server.url, model: NAME, name })),
  );
  return {
    steps: [idle, ...costly],
    close: async () => {
      await sender.stop();
      await watch.stop();
      await server.stop();
    },
  };
}

/** The kinds with one of these words in their names; all of them if there is no word. @throws Error for a word of no kind */
export function choose(all: readonly CostlyKind[], words: readonly string[]): readonly CostlyKind[] {
  if (words.length === 0) return all;
  const without = words.find((word) => !all.some(({ name }) => name.includes(word)));
  if (without !== undefined)
    throw new Error(`--kinds: '${without}' is in no name: ${all.map(({ name }) => name).join('; ')}`);
  return all.filter(({ name }) => words.some((word) => name.includes(word)));
}

function toFigures(name: string, { livez, gap }: Delays): Figure[] {
  const at = { beside: name };
  return [
    { what: 'longest wait for /livez', at, unit: 'ms', value: livez },
    { what: 'longest time between tokens of a stream', at, unit: 'ms', value: gap },
  ];
}

/** @param kinds as `Options.kinds`: the goal is for all of them together */
function toFindings(rounds: readonly (readonly Figure[])[], kinds: readonly string[]): Finding[] {
  const [first = []] = rounds;
  const each = first.map(({ what, at, unit }, i): Finding => {
    return { what, ...(at && { at }), unit, values: rounds.map((figures) => figures[i]?.value ?? NaN) };
  });
  if (kinds.length > 0) return each;
  const worst = rounds.map((figures) => {
    const waits = figures.filter(({ what }) => what === 'longest wait for /livez');
    return Math.max(...waits.map(({ value }) => value));
  });
  return [
    ...each,
    {
      what: 'longest wait for /livez',
      at: { beside: ALL },
      unit: 'ms',
      values: worst,
      goal: { id: 'P16', atMost: 50 },
    },
  ];
}
