import path from 'node:path';

import { PeerProcess } from '../../peers/peer-process.js';
import { prepareTrainer, type TrainerSetup } from '../../peers/prepare.js';
import { threadsOf } from '../../options.js';
import { ratios } from '../../report/statistics.js';
import type { BenchContext, Finding, Goal, Suite } from '../../suite.js';
import { startServer } from '../../process/server-process.js';
import { cpuSeconds } from '../../process/usage.js';
import { gaps, quantile, randomTokens, TokenStream } from '../../load/token-stream.js';
import { trainingExamples } from './batches.js';

const STREAMS = 8;
/** Tokens of each stream in one measurement. */
const MEASURED_TOKENS = 128;
const NOBODY = 'nobody';
/** Training as the server runs it: all threads, without spinning, at the lowest priority. */
const BACKGROUND = 'background';
const GOAL: Goal = { id: 'P14', atMost: 1.25 };

/** One measurement. */
interface Times {
  /** Milliseconds between tokens of a stream. */
  readonly p50: number;
  readonly p95: number;
  /** Tokens per second of all streams. */
  readonly rate: number;
  /** CPU time of training over wall-clock time. */
  readonly cores: number;
}

/** A way to train and its process, which is absent if nothing trains. */
interface Company {
  readonly name: string;
  readonly trainer?: PeerProcess;
  readonly times: Times[];
}

/** Effect of training on streams that are served by the same cores. */
export const trainingBesideServing: Suite = {
  name: 'training-beside-serving',
  question: `What does training in a process of its own do to ${STREAMS} running streams on the same cores?`,
  async run(context) {
    const server = await startServer(context);
    const companies: Company[] = [{ name: NOBODY, times: [] }];
    try {
      for (const [name, setup] of setups(threadsOf(context.options))) {
        const trainer = await PeerProcess.start(await prepareTrainer(context, setup));
        companies.push({ name, trainer, times: [] });
        await trainer.train({ examples: trainingExamples('all'), steps: 2 }); // its memory is its own from here on
      }
      await measureAll(server.url, companies, context);
      return findings(companies);
    } finally {
      for (const { trainer } of companies) await trainer?.close();
      await server.stop();
    }
  },
};

function setups(all: number): Map<string, TrainerSetup> {
  return new Map([
    [BACKGROUND, { threads: all, spin: false, background: true }],
    ['background, 1 thread', { threads: 1, spin: false, background: true }],
    ['as any process', { threads: all, spin: true, background: false }],
  ]);
}

async function measureAll(url: string, companies: readonly Company[], context: BenchContext): Promise<void> {
  const model = path.basename(context.checkpoint);
  for (let round = 0; round <= context.options.repeats; round++) {
    for (const company of round % 2 === 0 ? companies : companies.toReversed()) {
      const times = await measure(url, model, company.trainer);
      context.log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${company.name}  ${describe(times)}`);
      if (round > 0) company.times.push(times);
    }
    await context.keep(findings(companies));
  }
}

async function measure(url: string, model: string, trainer: PeerProcess | undefined): Promise<Times> {
  const streams = Array.from({ length: STREAMS }, (_, row) => {
    return new TokenStream(url, { model, prompt: randomTokens(`stream/${row}`, 16), maxTokens: 900 });
  });
  let over = false;
  const train = async (): Promise<void> => {
    while (!over) await trainer?.train({ examples: trainingExamples('all'), steps: 1 });
  };
  try {
    await Promise.all(streams.map((stream) => stream.token(4)));
    const training = trainer && train();
    const from = performance.now();
    const before = trainer ? await cpuSeconds(trainer.pid) : 0;
    await Promise.all(streams.map((stream) => stream.token(stream.arrivals.length + MEASURED_TOKENS)));
    const to = performance.now();
    const busy = trainer ? (await cpuSeconds(trainer.pid)) - before : 0;
    over = true;
    await Promise.all(streams.map((stream) => stream.cancel()));
    await training;
    const between = gaps(streams, from, to);
    return {
      p50: quantile(between, 0.5),
      p95: quantile(between, 0.95),
      rate: (1000 * between.length) / (to - from),
      cores: (1000 * busy) / (to - from),
    };
  } finally {
    over = true;
    await Promise.all(streams.map((stream) => stream.cancel()));
  }
}

function describe({ p50, p95, rate, cores }: Times): string {
  return `between tokens ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms; ${rate.toFixed(0)} tok/s; training ${cores.toFixed(2)} cores`;
}

function findings(companies: readonly Company[]): Finding[] {
  const alone = companies.find(({ name }) => name === NOBODY)?.times ?? [];
  return companies.flatMap(({ name, times }): Finding[] => {
    const at = { training: name };
    const goal = name === BACKGROUND ? { goal: GOAL } : {};
    const values = (pick: (times: Times) => number): number[] => times.map(pick);
    const over = (pick: (times: Times) => number): number[] =>
      ratios(times.map(pick), alone.slice(0, times.length).map(pick));
    const measured: Finding[] = [
      { what: 'between tokens, p50', at, unit: 'ms', values: values(({ p50 }) => p50) },
      { what: 'between tokens, p95', at, unit: 'ms', values: values(({ p95 }) => p95) },
      { what: 'all streams', at, unit: 'tok/s', values: values(({ rate }) => rate) },
    ];
    if (name === NOBODY) return measured;
    return [
      ...measured,
      { what: 'between tokens, p50, over nobody', at, unit: 'x', values: over(({ p50 }) => p50), ...goal },
      { what: 'between tokens, p95, over nobody', at, unit: 'x', values: over(({ p95 }) => p95), ...goal },
      { what: 'all streams, over nobody', at, unit: 'x', values: over(({ rate }) => rate) },
      { what: 'cores that training had', at, unit: 'x', values: values(({ cores }) => cores) },
    ];
  });
}
