import type { Span } from '#src/engine/runner.js';
import { type Model, openModel } from '#src/model/model.js';
import { rowWidth, selfSite } from '#src/prefix/kv.js';
import { randomPrefix } from '../../load/workload.js';
import { threadsOf } from '../../options.js';
import { median } from '../../report/statistics.js';
import type { Finding, Suite } from '../../suite.js';

/** Rows of a step and new tokens in each of them. */
const SHAPES = [
  { rows: 1, tokens: 4 },
  { rows: 2, tokens: 4 },
  { rows: 4, tokens: 3 },
  { rows: 8, tokens: 2 },
  { rows: 8, tokens: 5 },
  { rows: 32, tokens: 2 },
] as const;
/** Runs of each step in a round, in turns; the median counts. */
const TURNS = 7;

/** Time of a step with several tokens in each row, over that of a plain step: the cost of verifying a draft. */
export const spans: Suite = {
  name: 'spans',
  question: 'How long does a step of several tokens a row take, over a plain step and over as many plain steps?',
  async run({ options, checkpoint, cache, log }) {
    const slots = Math.max(...SHAPES.map(({ rows }) => rows));
    const model = await openModel({ source: checkpoint, cache, slots, threads: threadsOf(options) });
    try {
      const past = options.context - 1;
      const kv = randomPrefix('spans', rowWidth(selfSite(model.base)), past);
      for (let slot = 0; slot < slots; slot++) await model.runner.append(slot, 0, kv);
      const runs: Times[][] = [];
      for (let repeat = 0; repeat <= options.repeats; repeat++) {
        const times: Times[] = [];
        for (const { rows, tokens } of SHAPES) times.push(await takeTurns(model, rows, tokens, past));
        log(
          `${repeat === 0 ? 'warm-up' : `round ${repeat}`}  ${SHAPES.map((shape, i) => show(shape, times[i])).join(', ')}`,
        );
        if (repeat > 0) runs.push(times);
      }
      return SHAPES.flatMap((at, i) =>
        findings(
          at,
          runs.map((times) => times[i]).filter((one) => one !== undefined),
        ),
      );
    } finally {
      await model.dispose();
    }
  },
};

/** Medians of one round, in milliseconds. */
interface Times {
  /** Step of one token a row. */
  readonly plain: number;
  /** Step of several tokens a row. */
  readonly span: number;
}

async function takeTurns({ runner }: Model, rows: number, tokens: number, past: number): Promise<Times> {
  const times = { plain: [] as number[], span: [] as number[] };
  const step = async (count: number): Promise<number> => {
    const start = performance.now();
    const spans = Array.from({ length: rows }, (_, slot) => span(slot, count, past));
    await runner.step({ rows: spans, topK: 1, isVerifying: true });
    return performance.now() - start;
  };
  await step(tokens); // opens the graph
  for (let turn = 0; turn < TURNS; turn++) {
    times.plain.push(await step(1));
    times.span.push(await step(tokens));
  }
  return { plain: median(times.plain), span: median(times.span) };
}

function span(slot: number, count: number, past: number): Span {
  const tokens = Array.from({ length: count }, (_, i) => 100 + slot + i);
  return { slot, tokens, past, logits: 'all', temperature: 1 };
}

function findings(at: (typeof SHAPES)[number], runs: readonly Times[]): Finding[] {
  return [
    { what: 'step', at, unit: 'ms', values: runs.map(({ span }) => span) },
    { what: 'step over a plain one', at, unit: 'x', values: runs.map(({ plain, span }) => span / plain) },
    {
      what: 'step over as many plain ones as it has tokens a row',
      at,
      unit: 'x',
      values: runs.map(({ plain, span }) => span / (at.tokens * plain)),
    },
  ];
}

function show({ rows, tokens }: (typeof SHAPES)[number], times: Times | undefined): string {
  return `${rows} x ${tokens} ${times ? times.span.toFixed(0) : '?'} ms`;
}
