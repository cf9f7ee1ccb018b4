import { type PeerCommand, PeerProcess } from '../../peers/peer-process.js';
import type { TrainRequest } from '../../peers/protocol.js';
import { peakResident } from '../../process/usage.js';
import { ratios } from '../../report/statistics.js';
import type { BenchContext, Finding, Goal } from '../../suite.js';

/** Steps of one measurement. */
const STEPS = 3;
/** Largest relative difference between losses of the same batch and prefix. */
const SAME_LOSS = 1e-4;
/** Settings with which glibc keeps PyTorch's large blocks. By default every step takes them from the system and gives them back. */
const TUNED_MALLOC = { MALLOC_MMAP_THRESHOLD_: '2000000000', MALLOC_TRIM_THRESHOLD_: '8000000000' };

/** Trainers that are measured in turns on the same batches. */
interface Comparison {
  /** By name; the first is Preamble's. */
  readonly commands: ReadonlyMap<string, PeerCommand>;
  readonly batches: readonly TrainingBatch[];
  /** Of Preamble's memory over a peer's, at their peaks. */
  readonly memoryGoal: Goal;
}

/** Examples of a step, all in one batch. */
interface TrainingBatch {
  /** Conditions that tell it apart. */
  readonly at: Readonly<Record<string, string>>;
  readonly examples: TrainRequest['examples'];
  /** Tokens that the model reads. */
  readonly tokens: number;
  /** Of Preamble's speed over a peer's, by the peer's name. */
  readonly goals: Readonly<Record<string, Goal>>;
}

/** A process that trains, with a value for each round. */
interface Trainer {
  readonly name: string;
  readonly process: PeerProcess;
  /** Tokens per second of each batch. */
  readonly rates: readonly number[][];
  /** Largest resident memory so far, MiB. */
  readonly peaks: number[];
}

/** The same PyTorch, with a memory allocator that keeps what it has. */
export function withTunedMalloc(command: PeerCommand): PeerCommand {
  return { ...command, env: TUNED_MALLOC };
}

/** Speed and memory of trainers that begin with the same prefix. @throws Error where they compute different losses */
export async function compareTrainers(
  comparison: Comparison,
  { options, log, keep }: BenchContext,
): Promise<Finding[]> {
  const { commands, batches } = comparison;
  const trainers: Trainer[] = [];
  try {
    for (const [name, command] of commands) {
      trainers.push({ name, process: await PeerProcess.start(command), rates: batches.map(() => []), peaks: [] });
    }
    await checkAlike(trainers, batches);
    for (let round = 0; round <= options.repeats; round++) {
      await measure(round % 2 === 0 ? trainers : trainers.toReversed(), batches, round, log);
      await keep(findings(trainers, comparison));
    }
    return findings(trainers, comparison);
  } finally {
    for (const { process } of trainers) await process.close();
  }
}

/** Checks that all trainers compute the same losses before and after a step: otherwise they do not train the same. */
async function checkAlike(trainers: readonly Trainer[], batches: readonly TrainingBatch[]): Promise<void> {
  for (const { examples } of batches) {
    const losses: number[] = [];
    for (const { name, process } of trainers) {
      const { loss } = await process.train({ examples, steps: 1 });
      losses.push(loss);
      const [expected = NaN] = losses;
      if (!(Math.abs(loss / expected - 1) < SAME_LOSS)) throw new Error(`${name}: a loss of ${loss}, not ${expected}`);
    }
  }
}

/** Measures all trainers with one batch before the next batch, so that compared figures are seconds apart: the machine's speed changes. */
async function measure(
  trainers: readonly Trainer[],
  batches: readonly TrainingBatch[],
  round: number,
  log: BenchContext['log'],
): Promise<void> {
  for (const [i, { examples, tokens, at }] of batches.entries()) {
    for (const { name, process, rates } of trainers) {
      const { seconds } = await process.train({ examples, steps: STEPS });
      const rate = (STEPS * tokens) / seconds;
      const where = Object.entries(at).flat().join(' ');
      log(`${round === 0 ? 'warm-up' : `round ${round}`}  ${where}  ${name}  ${rate.toFixed(1)} tok/s`);
      if (round > 0) rates[i]?.push(rate);
    }
  }
  if (round === 0) return;
  for (const { process, peaks } of trainers) peaks.push(await peakResident(process.pid));
}

function findings([ours, ...peers]: readonly Trainer[], { batches, memoryGoal }: Comparison): Finding[] {
  if (ours === undefined) return [];
  const all = [ours, ...peers];
  return [
    ...batches.flatMap(({ at, goals }, i) => [
      ...all.map(({ name, rates }): Finding => ({ what: name, at, unit: 'tok/s', values: rates[i] ?? [] })),
      ...peers.map(({ name, rates }): Finding => {
        const [goal, values] = [goals[name], ratios(ours.rates[i] ?? [], rates[i] ?? [])];
        return { what: `${ours.name} over ${name}`, at, unit: 'x', values, ...(goal && { goal }) };
      }),
    ]),
    ...all.map(({ name, peaks }): Finding => ({ what: `${name}, peak memory`, unit: 'MiB', values: peaks })),
    ...peers.map(({ name, peaks }): Finding => {
      const what = `${ours.name} over ${name}, peak memory`;
      return { what, unit: 'x', values: ratios(ours.peaks, peaks), goal: memoryGoal };
    }),
  ];
}
