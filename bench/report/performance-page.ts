import { barChart, type Panel } from './bar-chart.js';
import type { Report, SuiteReport } from './report.js';
import { median, spread } from './statistics.js';
import type { Finding } from '../suite.js';
import { describePlace, formatMedian, formatSpread } from './text-table.js';
import { describeGoal, verdict } from './verdict.js';

/** Pattern of Preamble's own names among the throughput figures. */
const OURS = /^(server|engine)/;

/** Suite with the run that measured it. */
interface Measured extends SuiteReport {
  readonly report: Report;
}

/**
 * The generated parts of docs/performance.md, by name: `machine`, `goals`, `throughput`, and every suite by its own.
 * A later report's suite replaces an earlier one's.
 */
export function pageParts(reports: readonly Report[]): Map<string, string> {
  const suites = lastOfEach(reports);
  const findings = suites.flatMap((suite) => suite.findings);
  return new Map([
    ['machine', machineLines(suites)],
    ['goals', goalsTable(findings)],
    ...(throughput(suites).length > 0 ? [['throughput', throughputTable(suites)] as const] : []),
    ...suites.map(({ name, findings: own }) => [name, findingsTable(own)] as const),
  ]);
}

/**
 * The page with every part that there is between its marks, `<!-- bench NAME -->` and `<!-- /bench -->`; the rest stays, and so do
 * goals and machines of suites that were not measured again.
 */
export function fillPage(page: string, parts: ReadonlyMap<string, string>): string {
  return page.replaceAll(
    /(<!-- bench (\S+) -->\n)(.*?)(<!-- \/bench -->)/gs,
    (whole, start: string, name: string, old: string, end: string) => {
      const part = parts.get(name);
      if (part === undefined) return whole;
      const merge = MERGES[name];
      return `${start}\n${merge ? merge(old.trim(), part) : part}\n\n${end}`;
    },
  );
}

/** Merges of the parts that cover several suites. */
const MERGES: Readonly<Record<string, (old: string, part: string) => string>> = {
  goals: mergeGoals,
  machine: mergeMachines,
};

/** The new table, with the old rows of goals that it does not have. */
function mergeGoals(old: string, part: string): string {
  const [head = '', rule = '', ...rows] = part.split('\n');
  const id = (row: string): string => row.split('|')[1]?.trim() ?? '';
  const measured = new Set(rows.map(id));
  const kept = old
    .split('\n')
    .slice(2)
    .filter((row) => !measured.has(id(row)));
  const number = (row: string): number => Number(id(row).slice(1));
  return [head, rule, ...[...kept, ...rows].sort((a, b) => number(a) - number(b))].join('\n');
}

/** The new machines, with the old ones of suites that were not measured again. */
function mergeMachines(old: string, part: string): string {
  const measured = new Set(part.split('\n').flatMap((line) => MACHINE.exec(line)?.[1]?.split(', ') ?? []));
  const kept = old.split(/^(?=- .*: commit )/m).flatMap((entry) => {
    const names =
      MACHINE.exec(entry)?.[1]
        ?.split(', ')
        .filter((name) => !measured.has(name)) ?? [];
    return names.length > 0 ? [entry.trim().replace(MACHINE, `- ${names.join(', ')}: commit`)] : [];
  });
  return [...kept, part].join('\n');
}

/** Beginning of the first line of a machine. */
const MACHINE = /^- (.*): commit/;

/** Chart of tokens per second by rows, an SVG file. */
export function throughputChart(reports: readonly Report[]): string {
  const rates = throughput(lastOfEach(reports));
  const panels = distinct(rates.map(({ at }) => at?.['rows'])).map((rows): Panel => {
    const bars = rates
      .filter(({ at }) => at?.['rows'] === rows)
      .map(({ what, values }) => ({ label: what, value: median(values), ...spread(values), ours: OURS.test(what) }));
    return { title: `${rows} ${rows === 1 ? 'user' : 'users'}`, bars };
  });
  return barChart('Tokens per second while all users decode: medians, smallest and largest', panels);
}

function lastOfEach(reports: readonly Report[]): Measured[] {
  const measured = reports.flatMap((report) => report.suites.map((suite): Measured => ({ ...suite, report })));
  return [...new Map(measured.map((suite) => [suite.name, suite])).values()];
}

function machineLines(suites: readonly Measured[]): string {
  return distinct(suites.map(({ report }) => report))
    .map((report) => {
      const { cpu, cpus, threads, memoryGiB, platform, node, onnxruntime, commit, date, peers, busy } = report.facts;
      const names = suites.filter((suite) => suite.report === report).map(({ name }) => name);
      const machine = `${cpu ?? 'unknown CPU'}, ${cpus} CPUs, ${threads} threads in a step, ${memoryGiB} GiB, ${platform}`;
      const versions = Object.entries({ 'Node.js': node, 'ONNX Runtime': onnxruntime, ...peers });
      return [
        `- ${names.join(', ')}: commit ${commit ?? 'unknown'}, ${date.slice(0, 10)}, medians of ${report.options.repeats} rounds`,
        `- ${machine}; ${Math.round(100 * busy)}% busy with other things before it began`,
        `- ${versions.map(([name, version]) => `${name} ${version}`).join(', ')}`,
      ].join('\n');
    })
    .join('\n');
}

function goalsTable(findings: readonly Finding[]): string {
  const withGoal = findings.filter(({ goal }) => goal !== undefined);
  const number = ({ goal }: Finding): number => Number(goal?.id.slice(1));
  const rows = withGoal
    .toSorted((a, b) => number(a) - number(b))
    .map((finding) => [
      finding.goal?.id ?? '',
      finding.what,
      describePlace(finding),
      finding.goal ? describeGoal(finding.goal) : '',
      `${formatMedian(finding)} (${formatSpread(finding)}) ${finding.unit}`,
      verdict(finding) ?? '',
    ]);
  return markdownTable(['#', 'What', 'At', 'Goal', 'Measured', ''], rows);
}

function throughputTable(suites: readonly Measured[]): string {
  const rates = throughput(suites);
  const places = distinct(rates.map(({ at }) => at?.['rows']));
  const lines = distinct(rates.map(({ what }) => what)).map((what) => [
    what,
    ...places.map((rows) => {
      const finding = rates.find((one) => one.what === what && one.at?.['rows'] === rows);
      return finding ? `${formatMedian(finding)} (${formatSpread(finding)})` : '';
    }),
  ]);
  return markdownTable(['Tokens per second', ...places.map((rows) => `${rows} rows`)], lines);
}

function findingsTable(findings: readonly Finding[]): string {
  const lines = findings.map((finding) => [
    finding.what,
    describePlace(finding),
    `${formatMedian(finding)} (${formatSpread(finding)}) ${finding.unit}`,
  ]);
  return markdownTable(['What', 'At', 'Median (smallest-largest)'], lines);
}

/** Findings of the suite `decode` in tokens per second. */
function throughput(suites: readonly Measured[]): Finding[] {
  const decode = suites.find(({ name }) => name === 'decode')?.findings ?? [];
  return decode.filter(({ unit }) => unit === 'tok/s');
}

function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const rule = head.map(() => '---');
  return [head, rule, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
