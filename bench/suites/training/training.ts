import { threadsOf } from '../../options.js';
import { type PeerCommand, PeerProcess } from '../../peers/peer-process.js';
import { preparePeftTrainer, prepareTrainer } from '../../peers/prepare.js';
import { peakResident } from '../../process/usage.js';
import { ratios } from '../../report/statistics.js';
import type { BenchContext, Figure, Finding, Goal, Suite } from '../../suite.js';
import { runTune } from './run-tune.js';
import { LEARNED, type Learned, STEP_TOKENS, trainingExamples } from './batches.js';

/** Steps of one measurement. */
const STEPS = 3;
/** Largest relative difference between losses of the same batch and prefix. */
const SAME_LOSS = 1e-4;
/** Steps of one run of `preamble tune`. */
const TUNE_STEPS = 6;
const OURS = 'preamble';
const PEER = 'transformers-peft';
const TUNED_PEER = `${PEER}, malloc tuned`;
/** Settings with which glibc keeps PyTorch's large blocks. By default every step takes them from the system and gives them back. */
const TUNED_MALLOC = { MALLOC_MMAP_THRESHOLD_: '2000000000', MALLOC_TRIM_THRESHOLD_: '8000000000' };

const SPEED_GOALS: Readonly<Record<string, Goal>> = {
  [PEER]: { id: 'P12', atLeast: 1.5 },
  [TUNED_PEER]: { id: 'P12', atLeast: 1.2 },
};
const MEMORY_GOAL: Goal = { id: 'P13', atMost: 0.7 };

/** A process that trains, with a value for each round. */
interface Trainer {
  readonly name: string;
  readonly process: PeerProcess;
  /** Tokens per second. */
  readonly rates: Readonly<Record<Learned, number[]>>;
  /** Largest resident memory so far, MiB. */
  readonly peaks: number[];
}

/** Training speed and memory beside PyTorch and PEFT. */
export const training: Suite = {
  name: 'training',
  question: `How fast is a prefix trained, ${STEP_TOKENS} tokens a step, beside PyTorch and PEFT?`,
  async run(context) {
    const trainers: Trainer[] = [];
    try {
      for (const [name, command] of await commands(context)) {
        const process = await PeerProcess.start(command);
        trainers.push({ name, process, rates: { all: [], half: [], 'half, uneven rows': [] }, peaks: [] });
      }
      await checkAlike(trainers);
      for (let round = 0; round <= context.options.repeats; round++) {
        await measure(round % 2 === 0 ? trainers : trainers.toReversed(), round, context.log);
        await context.keep(findings(trainers));
      }
      return findings(trainers);
    } finally {
      for (const { process } of trainers) await process.close();
    }
  },
  open: (context) => Promise.resolve({ steps: [() => measureTune(context)], close: () => Promise.resolve() }),
};

/** Runs `preamble tune` of the context's build; all tokens are learned. */
async function measureTune(context: BenchContext): Promise<Figure[]> {
  const result = await runTune(context, trainingExamples('all'), TUNE_STEPS);
  return [
    { what: 'preamble tune', unit: 'tok/s', value: result.tokensPerSecond },
    { what: 'preamble tune, peak memory', unit: 'MiB', value: result.peak },
    { what: 'preamble tune, CPU time', unit: 's', value: result.cpuSeconds },
  ];
}

async function commands(context: BenchContext): Promise<Map<string, PeerCommand>> {
  const threads = threadsOf(context.options);
  const all = new Map([[OURS, await prepareTrainer(context, { threads, spin: true, background: false })]]);
  if (!context.options.peers.includes(PEER)) return all;
  const peft = await preparePeftTrainer(context);
  return all.set(PEER, peft).set(TUNED_PEER, { ...peft, env: TUNED_MALLOC });
}

/** Checks that all trainers compute the same losses before and after a step: otherwise they do not train the same. */
async function checkAlike(trainers: readonly Trainer[]): Promise<void> {
  for (const learned of LEARNED) {
    const losses: number[] = [];
    for (const { name, process } of trainers) {
      const { loss } = await process.train({ examples: trainingExamples(learned), steps: 1 });
      losses.push(loss);
      const [expected = NaN] = losses;
      if (!(Math.abs(loss / expected - 1) < SAME_LOSS)) throw new Error(`${name}: a loss of ${loss}, not ${expected}`);
    }
  }
}

/** Measures all trainers with one batch before the next batch, so that compared figures are seconds apart: the machine's speed changes. */
async function measure(trainers: readonly Trainer[], round: number, log: BenchContext['log']): Promise<void> {
  for (const learned of LEARNED) {
    for (const { name, process, rates } of trainers) {
      const { seconds } = await process.train({ examples: trainingExamples(learned), steps: STEPS });
      const rate = (STEPS * STEP_TOKENS) / seconds;
      log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${learned} learned  ${name}  ${rate.toFixed(1)} tok/s`);
      if (round > 0) rates[learned].push(rate);
    }
  }
  if (round === 0) return;
  for (const { process, peaks } of trainers) peaks.push(await peakResident(process.pid));
}

function findings([ours, ...peers]: readonly Trainer[]): Finding[] {
  if (ours === undefined) return [];
  const all = [ours, ...peers];
  return [
    ...LEARNED.flatMap((learned) => [
      ...all.map(({ name, rates }): Finding => ({
        what: name,
        at: { learned },
        unit: 'tok/s',
        values: rates[learned],
      })),
      ...peers.map(({ name, rates }): Finding => {
        const goal = learned === 'all' ? SPEED_GOALS[name] : undefined;
        const values = ratios(ours.rates[learned], rates[learned]);
        return { what: `${OURS} over ${name}`, at: { learned }, unit: 'x', values, ...(goal && { goal }) };
      }),
    ]),
    ...all.map(({ name, peaks }): Finding => ({ what: `${name}, peak memory`, unit: 'MiB', values: peaks })),
    ...peers.map(({ name, peaks }): Finding => {
      const what = `${OURS} over ${name}, peak memory`;
      return { what, unit: 'x', values: ratios(ours.peaks, peaks), goal: MEMORY_GOAL };
    }),
  ];
}
