import { type ChartPoint, lineChart } from '../charts/line-chart.js';
import type { Metric } from './metrics.js';
import type { GroupSettings } from './plan.js';
import type { Tested } from './run.js';
import { type Group, type Spread, spreadOf } from './summary.js';

/** An axis on which groups differ, and its values in display order. */
export interface VaryingAxis {
  readonly axis: GroupAxis;
  readonly values: readonly (string | number | null)[];
}

type GroupAxis = keyof GroupSettings;

/** Names of the axes in tables and figures. */
export const AXIS_LABELS: Readonly<Record<GroupAxis, string>> = {
  method: 'method',
  sites: 'sites',
  length: 'virtual tokens',
  mlp: 'MLP width',
  init: 'start',
  examples: 'training examples',
  share: 'share of the training data',
};

/** A plot of a report, and its path in the report's directory. */
export interface Figure {
  readonly file: string;
  readonly title: string;
  readonly svg: string;
}

/** Axes on which groups differ, leaving out the bare model. */
export function varyingAxes(groups: readonly Group[]): VaryingAxis[] {
  const axes = Object.keys(AXIS_LABELS) as GroupAxis[];
  const trained = groups.filter(isTrained);
  const all = axes.map((axis) => {
    const values = [...new Set(trained.map(({ settings }) => settings[axis]))];
    return { axis, values: values.every((value) => typeof value === 'number') ? values.sort((a, b) => a - b) : values };
  });
  return all.filter(({ values }) => values.length > 1);
}

function isTrained({ settings }: Pick<Group, 'settings'>): boolean {
  return settings.method !== 'none';
}

/**
 * Draws one figure for each plotted metric over each varying axis except the method. Each line is one combination of
 * the other varying settings.
 * @param tested test results by run name
 * @param part number of the part, from 1: part of the file names
 */
export function drawFigures(
  groups: readonly Group[],
  metrics: readonly Metric[],
  tested: ReadonlyMap<string, Tested>,
  part: number,
): Figure[] {
  const varying = varyingAxes(groups);
  return varying
    .filter(({ axis }) => axis !== 'method')
    .flatMap((x) =>
      metrics
        .filter(({ plotted }) => plotted)
        .map((metric) => ({
          file: `plots/${part}-${x.axis}-${metric.label.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.svg`,
          title: `${metric.label} by ${AXIS_LABELS[x.axis]}`,
          svg: drawFigure(groups, x, varying, metric, tested),
        })),
    );
}

function drawFigure(
  groups: readonly Group[],
  x: VaryingAxis,
  varying: readonly VaryingAxis[],
  metric: Metric,
  tested: ReadonlyMap<string, Tested>,
): string {
  const lines = new Map<string, ChartPoint[]>();
  for (const group of groups.filter(isTrained)) {
    const name = nameOf(
      group,
      varying.filter((one) => one !== x),
    );
    const spread = metricSpread(group, metric, tested);
    if (spread === undefined) continue;
    const { mean, low, high } = spread;
    const point = { x: x.values.indexOf(group.settings[x.axis]), y: mean, low, high };
    lines.set(name, [...(lines.get(name) ?? []), point]);
  }
  return lineChart({
    xLabel: AXIS_LABELS[x.axis],
    yLabel: metric.label,
    xTicks: x.values.map((value, at) => ({ at, label: String(value ?? 'all') })),
    series: [...lines].map(([name, points]) => ({ name, points: points.sort((a, b) => a.x - b.x) })),
    style: x.axis === 'init' || x.axis === 'sites' ? 'marks' : 'marked',
  });
}

/**
 * Spread of a metric over the runs with the chosen learning rate, one for each seed; undefined when none has a value.
 */
export function metricSpread(group: Group, metric: Metric, tested: ReadonlyMap<string, Tested>): Spread | undefined {
  return spreadOf(group.runs.flatMap((run) => metric.of(run, tested.get(run.run.name)) ?? []));
}

function nameOf({ settings }: Group, varying: readonly VaryingAxis[]): string {
  const parts = varying.map(({ axis }) =>
    axis === 'method' ? settings.method : `${AXIS_LABELS[axis]} ${settings[axis] ?? 'all'}`,
  );
  return parts.length > 0 ? parts.join(', ') : settings.method;
}
