import { describe, expect, it } from 'vitest';

import { type PlannedRun, planParts, searchRuns, seedRuns } from '../../src/study/plan.js';
import { parseSpec } from '../../src/study/spec.js';
import { atEdge, spreadOf, summarise, type TrainedRun } from '../../src/study/summary.js';

const axes = { lr: [1, 2, 3], seed: [1, 2] };
const spec = { data: { train: 'x', valid: 'x' }, parts: [{ title: 'x', axes }] };
const [group] = planParts(parseSpec(JSON.stringify(spec)))[0]!.groups;

/** A run that ended with this validation loss; null: it diverged. */
function ended(run: PlannedRun, loss: number | null): [string, TrainedRun] {
  const stop = loss === null ? 'diverged' : 'finished';
  const none = { steps: 1, best_step: null, train_loss: null, trained_parameters: 1, stored_parameters: 1 };
  return [run.name, { run, trained: { ...none, stop, valid_loss: loss } }];
}

describe('the rate of a group', () => {
  it.each([
    [[5, 2, 4], 2, false],
    [[1, 2, 4], 1, true],
    [[5, 4, 1], 3, true],
    [[5, null, 4], 3, true],
  ])('is the one with the lowest validation loss: %j', (losses, lr, edge) => {
    const summary = summarise(group!, new Map(searchRuns(group!).map((run, i) => ended(run, losses[i]!))));
    expect(summary.chosen?.run.settings.lr).toBe(lr);
    expect(atEdge(summary)).toBe(edge);
  });

  it('is what the other seeds have', () => {
    const all = [...searchRuns(group!), ...seedRuns(group!, 1)].map((run) => ended(run, run.settings.lr));
    const { runs } = summarise(group!, new Map(all));
    expect(runs.map(({ run: { settings } }) => [settings.lr, settings.seed])).toEqual([
      [1, 1],
      [1, 2],
    ]);
  });

  it('is none where all diverged', () => {
    const summary = summarise(group!, new Map(searchRuns(group!).map((run) => ended(run, null))));
    expect([summary.chosen, summary.runs]).toEqual([undefined, []]);
  });
});

it('the spread is that of a sample', () => {
  expect(spreadOf([1, 2, 3])).toEqual({ mean: 2, deviation: 1, low: 1, high: 3, count: 3 });
  expect(spreadOf([])).toBeUndefined();
});
