import { expect, it } from 'vitest';

import { planParts, searchRuns } from '../../src/study/plan.js';
import { reportFiles } from '../../src/study/report.js';
import { parseSpec } from '../../src/study/spec.js';
import type { TrainedRun } from '../../src/study/summary.js';

/** The report of a part with these axes, whose runs are trained. */
function report(axes: object): string {
  const spec = parseSpec(JSON.stringify({ data: { train: 't', valid: 'v' }, parts: [{ title: 'Part', axes }] }));
  const parts = planParts(spec);
  const outcome = { stop: 'finished', steps: 1, best_step: 1, train_loss: 1, valid_loss: 1 } as const;
  const trained = { ...outcome, trained_parameters: 1, stored_parameters: 1 };
  const runs = parts.flatMap(({ groups }) => groups.flatMap(searchRuns));
  const files = reportFiles({
    spec,
    base: { id: 'base', fingerprint: 'f'.repeat(64) },
    data: { train: [], valid: [], test: undefined, unseen: [] },
    parts,
    trained: new Map(runs.map((run): [string, TrainedRun] => [run.name, { run, trained }])),
    tested: new Map(),
    complete: true,
  });
  return files.get('report.md') ?? '';
}

it('says which settings all runs of a part have, sites only if they were asked for', () => {
  expect(report({ length: [2, 4] })).toContain('\nEverywhere: MLP width 512, start random.\n');
  const axes = { length: [2, 4], sites: ['decoder,cross'] };
  expect(report(axes)).toContain('\nEverywhere: sites decoder,cross, MLP width 512, start random.\n');
  expect(report({ sites: ['decoder', 'cross'] })).toContain(
    '\nEverywhere: virtual tokens 10, MLP width 512, start random.\n',
  );
});
