import { type PeerCommand, PeerProcess } from '../peers/peer-process.js';
import { preparePeftTrainer, prepareTrainer } from '../peers/prepare.js';
import { threadsOf } from '../options.js';
import { ratios } from '../statistics.js';
import type { BenchContext, Finding, Goal, Suite } from '../suite.js';
import { peakResident, STEP_TOKENS, trainingExamples } from '../support/training.js';

/** Steps of one measurement. */
const STEPS = 3;
/** Losses of the same batch and prefix may differ by so much, relative. */
const SAME_LOSS = 1e-4;
const OURS = 'preamble';
/** What a user of glibc sets by hand so that PyTorch's large blocks are not given back to the system, and faulted in again, every step. */
const TUNED_MALLOC = { MALLOC_MMAP_THRESHOLD_: '2000000000', MALLOC_TRIM_THRESHOLD_: '8000000000' };

const SPEED_GOALS: Readonly<Record<string, Goal>> = {
  'transformers-peft': { id: 'P12', atLeast: 1.5 },
  'transformers-peft, malloc tuned': { id: 'P12', atLeast: 1.2 },
};
const MEMORY_GOAL: Goal = { id: 'P13', atMost: 0.7 };

/** One of those that train; figures of the rounds so far. */
interface Trainer {
  readonly name: string;
  readonly process: PeerProcess;
  readonly rates: number[];
  readonly peaks: number[];
}

/** Training speed and memory beside PyTorch and PEFT. */
export const training: Suite = {
  name: 'training',
  question: `How fast is a prefix trained, ${STEP_TOKENS} learned tokens a step, beside PyTorch and PEFT?`,
  async run(context) {
    const trainers: Trainer[] = [];
    try {
      for (const [name, command] of await commands(context)) trainers.push(await start(name, command));
      await checkAlike(trainers);
      for (let round = 0; round <= context.options.repeats; round++) {
        for (const trainer of round % 2 === 0 ? trainers : trainers.toReversed()) {
          await measure(trainer, round, context.log);
        }
        await context.keep(findings(trainers));
      }
      return findings(trainers);
    } finally {
      for (const { process } of trainers) await process.close();
    }
  },
};

async function commands(context: BenchContext): Promise<Map<string, PeerCommand>> {
  const ours = await prepareTrainer(context, { threads: threadsOf(context.options), spin: true, background: false });
  if (!context.options.peers.includes('transformers-peft')) return new Map([[OURS, ours]]);
  const peft = await preparePeftTrainer(context);
  return new Map([
    [OURS, ours],
    ['transformers-peft', peft],
    ['transformers-peft, malloc tuned', { ...peft, env: TUNED_MALLOC }],
  ]);
}

async function start(name: string, command: PeerCommand): Promise<Trainer> {
  return { name, process: await PeerProcess.start(command), rates: [], peaks: [] };
}

/** Those that do not compute the same loss, before and after a step, do not train the same. */
async function checkAlike(trainers: readonly Trainer[]): Promise<void> {
  for (const steps of [1, 1]) {
    let first: number | undefined;
    for (const { name, process } of trainers) {
      const { loss } = await process.train({ examples: trainingExamples(), steps });
      first ??= loss;
      if (!(Math.abs(loss / first - 1) < SAME_LOSS)) throw new Error(`${name}: a loss of ${loss}, not ${first}`);
    }
  }
}

async function measure(trainer: Trainer, round: number, log: BenchContext['log']): Promise<void> {
  const { seconds } = await trainer.process.train({ examples: trainingExamples(), steps: STEPS });
  const rate = (STEPS * STEP_TOKENS) / seconds;
  const peak = await peakResident(trainer.process.pid);
  log(
    `${round === 0 ? 'warm-up' : `round ${round}`}  ${trainer.name}  ${rate.toFixed(1)} tok/s, at most ${peak.toFixed(0)} MiB`,
  );
  if (round === 0) return;
  trainer.rates.push(rate);
  trainer.peaks.push(peak);
}

function findings(trainers: readonly Trainer[]): Finding[] {
  const [ours, ...peers] = trainers;
  return [
    ...trainers.flatMap(({ name, rates, peaks }): Finding[] => [
      { what: name, unit: 'tok/s', values: rates },
      { what: `${name}, peak memory`, unit: 'MiB', values: peaks },
    ]),
    ...peers.flatMap(({ name, rates, peaks }): Finding[] => {
      const goal = SPEED_GOALS[name];
      return [
        {
          what: `${OURS} over ${name}`,
          unit: 'x',
          values: ratios(ours?.rates ?? [], rates),
          ...(goal && { goal }),
        },
        {
          what: `${OURS} over ${name}, peak memory`,
          unit: 'x',
          values: ratios(ours?.peaks ?? [], peaks),
          goal: MEMORY_GOAL,
        },
      ];
    }),
  ];
}
