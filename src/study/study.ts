import fs from 'node:fs/promises';
import path from 'node:path';

import { replaceFile } from '../disk/durable.js';
import { SpecError } from './errors.js';
import { type PlannedGroup, type PlannedPart, type PlannedRun, planParts, searchRuns, seedRuns } from './plan.js';
import { reportFiles } from './report.js';
import { type RunContext, type Tested, testRun, trainRun } from './run.js';
import { summarise, type TrainedRun } from './summary.js';

/** Result of running a study. */
export interface StudyOutcome {
  /** Number of trained runs. */
  readonly runs: number;
  readonly interrupted: boolean;
}

/**
 * Trains the runs of a study, tests those with the best learning rate of their group, and writes the report to `out`.
 * Finished runs of an earlier process are not repeated and a run that was cut off resumes from its checkpoint, so the
 * report is the same. When interrupted, reports the results so far. Throws `SpecError` for a field of the
 * spec, and `TuningError` for data and settings that cannot be trained with.
 */
export async function runStudy(context: RunContext): Promise<StudyOutcome> {
  const parts = planParts(context.spec);
  refuseTooManyExamples(context, parts);
  refuseTooLong(context, parts);
  const study = new Study(context);
  const interrupted = await untilAborted(context.signal, async () => {
    for (const group of parts.flatMap(({ groups }) => groups)) await study.run(group);
  });
  await study.report(parts, !interrupted);
  return { runs: study.trained.size, interrupted };
}

class Study {
  readonly trained = new Map<string, TrainedRun>();
  readonly #tested = new Map<string, Tested>();

  constructor(private readonly context: RunContext) {}

  async run(group: PlannedGroup): Promise<void> {
    for (const run of searchRuns(group)) await this.#train(run);
    const { chosen } = summarise(group, this.trained);
    if (chosen === undefined) return;
    for (const run of seedRuns(group, chosen.run.settings.lr)) {
      await this.#train(run);
      await this.#test(run);
    }
  }

  async #train(run: PlannedRun): Promise<void> {
    if (this.trained.has(run.name)) return;
    this.trained.set(run.name, { run, trained: await trainRun(this.context, run) });
  }

  async #test(run: PlannedRun): Promise<void> {
    const { test } = this.context.data;
    const diverged = this.trained.get(run.name)?.trained.stop === 'diverged';
    if (test === undefined || diverged || this.#tested.has(run.name)) return;
    this.#tested.set(run.name, await testRun(this.context, run, test));
  }

  async report(parts: readonly PlannedPart[], complete: boolean): Promise<void> {
    const { spec, base, data, out } = this.context;
    await fs.mkdir(path.join(out, 'plots'), { recursive: true });
    const results = { spec, base, data, parts, trained: this.trained, tested: this.#tested, complete };
    for (const [file, content] of reportFiles(results)) await replaceFile(path.join(out, file), content);
  }
}

/** Runs `work` until it ends or the signal aborts it. True when it was aborted. */
async function untilAborted(signal: AbortSignal | undefined, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return true;
    throw error;
  }
}

function refuseTooManyExamples({ data }: RunContext, parts: readonly PlannedPart[]): void {
  parts.forEach(({ groups }, index) => {
    const most = Math.max(0, ...groups.map(({ settings }) => settings.examples ?? 0));
    if (most > data.train.length) {
      throw new SpecError(`parts[${index}].axes.examples: ${most}, but there are ${data.train.length} to train on`);
    }
  });
}

function refuseTooLong({ maxLength }: RunContext, parts: readonly PlannedPart[]): void {
  parts.forEach(({ groups }, index) => {
    const most = Math.max(0, ...groups.map(({ settings }) => settings.length));
    if (most > maxLength) {
      throw new SpecError(`parts[${index}].axes.length: ${most} virtual tokens; at most ${maxLength} are accepted`);
    }
  });
}
