import type { BaseModel } from '../prefix/kv.js';
import { sharedSources, sourcesOf, splitTest, type StudyData } from './data.js';
import { AXIS_LABELS, drawFigures, type Figure, metricSpread, varyingAxes } from './figures.js';
import { type Metric, metricsOf, shownScores } from './metrics.js';
import type { PlannedPart } from './plan.js';
import type { Tested } from './run.js';
import type { StudySpec } from './spec.js';
import { atEdge, type Group, type Spread, summarise, type TrainedRun } from './summary.js';

/** The input of a report. Runs are by name. */
export interface StudyResults {
  readonly spec: StudySpec;
  readonly base: Pick<BaseModel, 'id' | 'fingerprint' | 'sourceLength'>;
  readonly data: StudyData;
  readonly parts: readonly PlannedPart[];
  readonly trained: ReadonlyMap<string, TrainedRun>;
  readonly tested: ReadonlyMap<string, Tested>;
  /** Whether all runs have ended. */
  readonly complete: boolean;
}

/** The files of a report by path: `results.jsonl`, `report.md` and plots. The same results give the same bytes. */
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

function groupsOf({ trained }: StudyResults, { groups }: PlannedPart): Group[] {
  return groups.map((group) => summarise(group, trained)).filter(({ search }) => search.length > 0);
}

function metricsOfStudy({ spec, base, data }: StudyResults): Metric[] {
  const { seen, unseen } = splitTest(data);
  return metricsOf({
    valid: data.valid !== undefined,
    test: data.test !== undefined,
    seen: seen.length > 0,
    unseen: unseen.length > 0,
    scores: spec.generation ? (spec.generation.scores ?? shownScores(base)) : [],
  });
}

function resultLines(results: StudyResults): string {
  const groups = results.parts.flatMap((part) => groupsOf(results, part));
  const chosen = new Set(groups.flatMap(({ runs }) => runs.map(({ run }) => run.name)));
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

function header({ spec, base, data, trained, complete }: StudyResults): string[] {
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
    `- Runs: ${trained.size}${complete ? '' : '; **the study was interrupted, and others are to come**'}`,
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
  const given = (['sites', 'length', 'mlp', 'init'] as const).filter((axis) => settings[axis] !== null);
  const same = given.filter((axis) => !varying.has(axis));
  if (same.length === 0) return [];
  return [`Everywhere: ${same.map((axis) => `${AXIS_LABELS[axis]} ${settings[axis]}`).join(', ')}.`, ''];
}

/** The settings that tell a group from the others. */
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
    const { search, chosen, runs } = group;
    const trained = (chosen ?? search[0])?.trained;
    const ended = runs.filter((run) => run.trained.stop !== 'diverged').length;
    return [
      ...labels(group, groups),
      String(trained?.trained_parameters),
      String(trained?.stored_parameters),
      rateOf(group),
      ended === runs.length ? String(ended) : `${ended} of ${runs.length}, the others diverged`,
      ...metrics.map((metric) => formatSpread(metricSpread(group, metric, tested), metric.digits)),
    ];
  });
  return table(
    [...labelHeader(groups), 'trained', 'stored', 'rate', 'seeds', ...metrics.map(({ label }) => label)],
    rows,
  );
}

function rateOf({ settings, chosen }: Group): string {
  if (settings.method === 'none') return '';
  return chosen === undefined ? 'all diverged' : String(chosen.run.settings.lr);
}

/** Validation losses of the rates, where several were tried. */
function rateTable(groups: readonly Group[]): string[] {
  const searched = groups.filter(({ search }) => search.length > 1);
  if (searched.length === 0) return [];
  const rates = searched.flatMap(({ search }) => search.map(({ run }) => run.settings.lr));
  const all = [...new Set(rates)].sort((a, b) => a - b);
  const rows = searched.map((group) => [...labels(group, groups), ...all.map((lr) => rateCell(group, lr))]);
  return [
    '',
    'Rates that were tried with the first seed, and the validation loss of each; the other seeds have the best one.',
    '',
    ...table([...labelHeader(groups), ...all.map(String)], rows),
    ...(searched.some(atEdge) ? ['', 'A choice at the edge of the rates: one beyond might be better still.'] : []),
  ];
}

function rateCell({ search, chosen }: Group, lr: number): string {
  const one = search.find(({ run }) => run.settings.lr === lr);
  if (one === undefined) return '';
  const loss = one.trained.valid_loss?.toFixed(4) ?? 'diverged';
  return one === chosen ? `**${loss}**` : loss;
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
