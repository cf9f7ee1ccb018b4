import type { BaseModel } from '../prefix/kv.js';
import { sharedSources, sourcesOf, type StudyData } from './data.js';
import { AXIS_LABELS, drawFigures, type Figure, metricSpread, varyingAxes } from './figures.js';
import { type Metric, metricsOf } from './metrics.js';
import type { PlannedPart } from './plan.js';
import type { Tested } from './run.js';
import type { StudySpec } from './spec.js';
import { atEdge, type Group, groupRuns, type Spread, type TrainedRun } from './summary.js';

/** All that a report is written from; runs by name. */
export interface StudyResults {
  readonly spec: StudySpec;
  readonly base: Pick<BaseModel, 'id' | 'fingerprint'>;
  readonly data: StudyData;
  readonly parts: readonly PlannedPart[];
  readonly trained: ReadonlyMap<string, TrainedRun>;
  readonly tested: ReadonlyMap<string, Tested>;
}

/** The files of a report by their place: `results.jsonl`, `report.md` and its plots. The same results give the same bytes. */
export function reportFiles(results: StudyResults): Map<string, string> {
  const metrics = metricsOfStudy(results);
  const sections = results.parts.map((part, index) => writePart(results, part, metrics, index + 1));
  const text = [...header(results), ...sections.flatMap(({ lines }) => lines)].join('\n');
  return new Map([
    ['results.jsonl', resultLines(results)],
    ['report.md', `${text}\n`],
    ...sections.flatMap(({ figures }) => figures.map(({ file, svg }) => [file, svg] as const)),
  ]);
}

/** The groups of a part, of the runs that have ended. */
export function groupsOf({ trained }: Pick<StudyResults, 'trained'>, { runs }: PlannedPart): Group[] {
  return groupRuns(runs.flatMap(({ name }) => trained.get(name) ?? []));
}

function metricsOfStudy({ spec, data }: StudyResults): Metric[] {
  return metricsOf({
    valid: data.valid !== undefined,
    test: data.test !== undefined,
    unseen: data.unseen.length > 0,
    scores: spec.generation !== undefined,
  });
}

function resultLines(results: StudyResults): string {
  const chosen = new Set(
    results.parts
      .flatMap((part) => groupsOf(results, part))
      .flatMap((group) => group.chosen?.runs ?? [])
      .map(({ run }) => run.name),
  );
  const lines = [...results.trained.values()].map(({ run: { name, settings }, trained }) =>
    JSON.stringify({
      run: name,
      ...settings,
      ...trained,
      chosen: chosen.has(name),
      test: results.tested.get(name) ?? null,
    }),
  );
  return lines.map((line) => `${line}\n`).join('');
}

function header({ spec, base, data, parts, trained }: StudyResults): string[] {
  const runs = new Set(parts.flatMap((part) => part.runs.map(({ name }) => name))).size;
  const describe = (name: string, examples: StudyData['train'] | undefined): string[] =>
    examples ? [`- ${name}: ${examples.length} examples of ${sourcesOf(examples).length} sources`] : [];
  const shared = data.test && sharedSources(data.train, data.test);
  const schedule = Object.entries(spec.training ?? {}).map(([name, value]) => `${name} ${value}`);
  return [
    '# Study',
    '',
    `- Model: ${base.id}, fingerprint ${base.fingerprint.slice(0, 12)}`,
    ...describe('Training data', data.train),
    ...describe('Validation data', data.valid),
    ...describe('Test data', data.test),
    ...(shared ? [`- **${shared} sources of the test data are in the training data too.**`] : []),
    ...(data.unseen.length > 0 ? [`- Categories that were not trained on: ${data.unseen.join(', ')}`] : []),
    `- Training: ${schedule.length > 0 ? schedule.join(', ') : 'as `preamble tune` does it'}`,
    `- Runs: ${trained.size === runs ? runs : `${trained.size} of ${runs}, the others are still to come`}`,
    '',
    'Values are means over the seeds ± the standard deviation; losses are nats per learned token. "Trained" and "stored" count numbers:',
    'those that training changes, and those that the adapter holds.',
  ];
}

interface Section {
  readonly lines: readonly string[];
  readonly figures: readonly Figure[];
}

function writePart(results: StudyResults, part: PlannedPart, metrics: readonly Metric[], number: number): Section {
  const groups = groupsOf(results, part);
  const figures = drawFigures(groups, metrics, results.tested, number);
  const lines = [
    '',
    `## ${part.title}`,
    '',
    ...commonSettings(groups),
    ...resultTable(groups, metrics, results.tested),
    ...figures.flatMap(({ title, file }) => ['', `![${title}](${file})`]),
    ...rateTable(groups),
  ];
  return { lines, figures };
}

function commonSettings(groups: readonly Group[]): string[] {
  const settings = groups.find(({ settings: { method } }) => method !== 'none')?.settings;
  if (settings === undefined) return [];
  const varying = new Set(varyingAxes(groups).map(({ axis }) => axis));
  const same = (['length', 'mlp', 'init'] as const).filter((axis) => !varying.has(axis));
  if (same.length === 0) return [];
  return [`Everywhere: ${same.map((axis) => `${AXIS_LABELS[axis]} ${settings[axis]}`).join(', ')}.`, ''];
}

/** The settings that a group is told apart by. */
function labels(group: Group, groups: readonly Group[]): string[] {
  const { settings } = group;
  const axes = varyingAxes(groups).filter(({ axis }) => axis !== 'method');
  return [
    settings.method === 'none' ? 'no tuning' : settings.method,
    ...axes.map(({ axis }) => (settings.method === 'none' ? '' : String(settings[axis] ?? 'all'))),
  ];
}

function labelHeader(groups: readonly Group[]): string[] {
  const axes = varyingAxes(groups).filter(({ axis }) => axis !== 'method');
  return ['method', ...axes.map(({ axis }) => AXIS_LABELS[axis])];
}

function resultTable(
  groups: readonly Group[],
  metrics: readonly Metric[],
  tested: ReadonlyMap<string, Tested>,
): string[] {
  const rows = groups.map((group) => {
    const { chosen, settings, rates } = group;
    const { trained } = (chosen ?? rates[0])?.runs[0] ?? {};
    const rate = settings.method === 'none' ? '' : chosen === undefined ? 'all diverged' : String(chosen.lr);
    return [
      ...labels(group, groups),
      String(trained?.trained_parameters ?? 0),
      String(trained?.stored_parameters ?? 0),
      rate,
      String(chosen?.runs.length ?? 0),
      ...metrics.map((metric) => formatSpread(metricSpread(group, metric, tested), metric.digits)),
    ];
  });
  return table(
    [...labelHeader(groups), 'trained', 'stored', 'rate', 'seeds', ...metrics.map(({ label }) => label)],
    rows,
  );
}

/** What each rate came to, where several were tried. */
function rateTable(groups: readonly Group[]): string[] {
  const searched = groups.filter(({ rates }) => rates.length > 1);
  if (searched.length === 0) return [];
  const all = [...new Set(searched.flatMap(({ rates }) => rates.map(({ lr }) => lr)))].sort((a, b) => a - b);
  const rows = searched.map((group) => [
    ...labels(group, groups),
    ...all.map((lr) => {
      const rate = group.rates.find((one) => one.lr === lr);
      if (rate === undefined) return '';
      if (rate.validLoss === undefined) return 'diverged';
      const loss = rate.validLoss.toFixed(4);
      return rate === group.chosen ? `**${loss}**` : loss;
    }),
  ]);
  const edge = searched.some(atEdge)
    ? ['', 'A choice at the edge of the rates: one beyond might be better still.']
    : [];
  return [
    '',
    'Rates that were tried, and the mean validation loss of each; the lowest is what the table above shows.',
    '',
    ...table([...labelHeader(groups), ...all.map(String)], rows),
    ...edge,
  ];
}

function formatSpread(spread: Spread | undefined, digits: number): string {
  if (spread === undefined) return '';
  const mean = spread.mean.toFixed(digits);
  return spread.count === 1 ? mean : `${mean} ± ${spread.deviation.toFixed(digits)}`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}
