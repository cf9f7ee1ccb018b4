import fs from 'node:fs/promises';
import path from 'node:path';

import { TuningError } from '../tuning/errors.js';
import { type PlannedPart, planParts, runsOf } from './plan.js';
import { replaceFile } from './record.js';
import { groupsOf, reportFiles } from './report.js';
import { type RunContext, type Tested, testRun, trainRun } from './run.js';
import type { TrainedRun } from './summary.js';

/** How far a study has come. */
export interface StudyOutcome {
  readonly runs: number;
  readonly of: number;
  readonly interrupted: boolean;
}

/**
 * Trains every run of a study, tests those with the best learning rate of their group, and writes the report to `out`. What an
 * earlier process did is not done again, and a run that was cut off goes on from its checkpoint: the report is the same.
 * Interrupted, it reports what there is. Throws `TuningError` naming a field of the spec or the run that cannot be trained.
 */
export async function runStudy(context: RunContext): Promise<StudyOutcome> {
  const parts = planParts(context.spec);
  refuseTooManyExamples(context, parts);
  const trained = new Map<string, TrainedRun>();
  const tested = new Map<string, Tested>();
  const interrupted = await untilAborted(context.signal, async () => {
    for (const run of runsOf(parts)) trained.set(run.name, { run, trained: await trainRun(context, run) });
    await testChosen(context, parts, trained, tested);
  });
  await writeReport(context, parts, trained, tested);
  return { runs: trained.size, of: runsOf(parts).length, interrupted };
}

async function testChosen(
  context: RunContext,
  parts: readonly PlannedPart[],
  trained: ReadonlyMap<string, TrainedRun>,
  tested: Map<string, Tested>,
): Promise<void> {
  const { test } = context.data;
  if (test === undefined) return;
  const chosen = parts.flatMap((part) => groupsOf({ trained }, part)).flatMap((group) => group.chosen?.runs ?? []);
  for (const { run } of chosen) {
    if (!tested.has(run.name)) tested.set(run.name, await testRun(context, run, test));
  }
}

/** Whether the signal ended the work. */
async function untilAborted(signal: AbortSignal | undefined, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return true;
    throw error;
  }
}

async function writeReport(
  { spec, base, data, out }: RunContext,
  parts: readonly PlannedPart[],
  trained: ReadonlyMap<string, TrainedRun>,
  tested: ReadonlyMap<string, Tested>,
): Promise<void> {
  await fs.mkdir(path.join(out, 'plots'), { recursive: true });
  const files = reportFiles({ spec, base, data, parts, trained, tested });
  for (const [file, content] of files) await replaceFile(path.join(out, file), content);
}

function refuseTooManyExamples({ data }: RunContext, parts: readonly PlannedPart[]): void {
  parts.forEach(({ runs }, index) => {
    const most = Math.max(0, ...runs.map(({ settings }) => settings.examples ?? 0));
    if (most > data.train.length) {
      throw new TuningError(`parts[${index}].axes.examples: ${most}, but there are ${data.train.length} to train on`);
    }
  });
}
