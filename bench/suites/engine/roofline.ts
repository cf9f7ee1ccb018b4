import type { Span } from '#src/engine/runner.js';
import type { Gpt2Config } from '#src/model/gpt2/config.js';
import { compileModel, type Manifest, readManifest } from '#src/model/compile/compiled-model.js';
import { rowWidth, selfSite } from '#src/prefix/kv.js';
import { type Model, openModel } from '#src/model/model.js';
import { type MachineLimits, openMachineLimits } from './machine-limits.js';
import { threadsOf } from '../../options.js';
import { median } from '../../report/statistics.js';
import type { BenchContext, Finding, Suite } from '../../suite.js';
import { randomPrefix } from '../../load/workload.js';

/** Decode rows, with the goal for a step over the machine's limit. */
const ROWS = [
  { rows: 1, atMost: 1.15 },
  { rows: 32, atMost: 1.4 },
] as const;
/** Runs of each kernel and step in a round, in turns; the median counts. */
const TURNS = 15;

/** Least work of a decode step. */
export interface StepCost {
  /** Bytes read from memory: every weight but those looked up by row, and the rows' keys and values. */
  readonly bytes: number;
  /** Floating-point operations: a multiplication and an addition for each weight of a matrix and each row. */
  readonly flop: number;
}

/** Time of a decode step over the machine's limits, which are measured between the steps. */
export const roofline: Suite = {
  name: 'roofline',
  question: 'How long does a decode step take over what memory and multipliers allow?',
  async run(context) {
    const threads = threadsOf(context.options);
    const slots = Math.max(...ROWS.map(({ rows }) => rows));
    const { cache } = context;
    const source = await compileModel({ source: context.checkpoint, cache });
    const { config, shape } = (await readManifest(source)) as Manifest;
    const model = await openModel({ source, cache, slots, threads });
    const limits = await openMachineLimits(threads);
    try {
      // Pages that were never written are all the same page of zeros, which the caches hold.
      const kv = randomPrefix('roofline', rowWidth(selfSite(shape)), context.options.context - 1);
      for (let slot = 0; slot < slots; slot++) await model.runner.append(slot, 0, kv);
      return await measure(model, limits, config as Gpt2Config, context);
    } finally {
      await limits.dispose();
      await model.dispose();
    }
  },
};

/** A step of `rows` rows that have `context` positions each when it ends. */
export function stepCost(
  { layers, width, inner, vocabularySize }: Gpt2Config,
  rows: number,
  context: number,
): StepCost {
  const matrices = layers * (4 * width * width + 2 * width * inner) + vocabularySize * width;
  const vectors = layers * (9 * width + inner) + 2 * width;
  const keysAndValues = rows * context * layers * 2 * width;
  return { bytes: 4 * (matrices + vectors + keysAndValues), flop: 2 * rows * matrices };
}

/** Milliseconds that a step takes at the machine's limits. */
export function limitOf(cost: StepCost, bytesPerMs: number, flopPerMs: number): number {
  return Math.max(cost.bytes / bytesPerMs, cost.flop / flopPerMs);
}

async function measure(
  model: Model,
  limits: MachineLimits,
  config: Gpt2Config,
  { options, log }: BenchContext,
): Promise<Finding[]> {
  const runs: Turns[] = [];
  for (let repeat = 0; repeat <= options.repeats; repeat++) {
    const turns = await takeTurns(model, limits, options.context);
    const steps = ROWS.map(({ rows }, i) => `${rows} rows ${(turns.steps[i] ?? NaN).toFixed(1)} ms`).join(', ');
    const machine = `${(turns.bytesPerMs / 1e6).toFixed(1)} GB/s, ${(turns.flopPerMs / 1e6).toFixed(0)} GFLOP/s`;
    log(`${repeat === 0 ? 'warm-up' : `round ${repeat}`}  ${machine}, ${steps}`);
    if (repeat > 0) runs.push(turns);
  }
  return [
    { what: 'memory read, all threads', unit: 'GB/s', values: runs.map((turns) => turns.bytesPerMs / 1e6) },
    { what: 'matrix product, all threads', unit: 'GFLOP/s', values: runs.map((turns) => turns.flopPerMs / 1e6) },
    ...ROWS.flatMap(({ rows, atMost }, index) => {
      const cost = stepCost(config, rows, options.context);
      const steps = runs.map((turns) => turns.steps[index] ?? NaN);
      const least = runs.map((turns) => limitOf(cost, turns.bytesPerMs, turns.flopPerMs));
      const over = steps.map((step, round) => step / (least[round] ?? NaN));
      const attention = runs.map((turns, round) => (steps[round] ?? NaN) - (turns.first[index] ?? NaN));
      const at = { rows };
      return [
        { what: 'decode step', at, unit: 'ms', values: steps },
        { what: 'of it, reading keys and values: over the step of a first token', at, unit: 'ms', values: attention },
        { what: "decode step at the machine's limit", at, unit: 'ms', values: least },
        { what: "decode step over the machine's limit", at, unit: 'x', values: over, goal: { id: 'P3', atMost } },
      ] satisfies Finding[];
    }),
  ];
}

/** Medians of one round. */
interface Turns {
  readonly bytesPerMs: number;
  readonly flopPerMs: number;
  /** Milliseconds of a step, for each of `ROWS`. */
  readonly steps: readonly number[];
  /** Milliseconds of a step with an empty cache, for each of `ROWS`. */
  readonly first: readonly number[];
}

/** Runs every kernel and step once in turn, so that a slow second of the machine slows all of them. */
async function takeTurns(model: Model, { read, multiply }: MachineLimits, context: number): Promise<Turns> {
  const ofRows = (): number[][] => ROWS.map(() => []);
  const times = { read: [] as number[], multiply: [] as number[], steps: ofRows(), first: ofRows() };
  for (let turn = 0; turn < TURNS; turn++) {
    times.read.push(await read.time());
    times.multiply.push(await multiply.time());
    for (const [index, { rows }] of ROWS.entries()) {
      times.steps[index]?.push(await timeStep(model, rows, context));
      times.first[index]?.push(await timeStep(model, rows, 1));
    }
  }
  return {
    bytesPerMs: read.work / median(times.read),
    flopPerMs: multiply.work / median(times.multiply),
    steps: times.steps.map(median),
    first: times.first.map(median),
  };
}

async function timeStep({ runner }: Model, rows: number, context: number): Promise<number> {
  const spans = Array.from({ length: rows }, (_, slot): Span => {
    return { slot, tokens: [slot], past: context - 1, logits: 'last', temperature: 1 };
  });
  const start = performance.now();
  await runner.step({ rows: spans, topK: 1 });
  return performance.now() - start;
}
