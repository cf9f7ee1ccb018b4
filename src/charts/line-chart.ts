import { ticks } from './ticks.js';

/** A point and, optionally, the ends of the spread around it, in the units of the data. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

/** One line or set of marks, with its name in the legend. */
interface Series {
  readonly name: string;
  readonly points: readonly ChartPoint[];
}

/** The content of a chart: axes, series and drawing style. */
export interface LineChart {
  readonly xLabel: string;
  readonly yLabel: string;
  /** Labelled positions on the x axis, which reaches from the first to the last. */
  readonly xTicks: readonly { readonly at: number; readonly label: string }[];
  readonly series: readonly Series[];
  /**
   * `line`: a line only. `marked`: a line with a mark at each point and the spread as a band. `marks`: marks that are
   * not joined, with the spread as whiskers.
   */
  readonly style: 'line' | 'marked' | 'marks';
}

const WIDTH = 640;
const HEIGHT = 340;
const [LEFT, RIGHT, TOP, BOTTOM] = [64, WIDTH - 24, 24, HEIGHT - 56];
const LEGEND_ROW = 16;
const COLOURS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#ff7f0e', '#17becf', '#8c564b', '#7f7f7f'] as const;

/** Maps data coordinates to pixels. */
interface Scale {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

/** Draws lines or marks over a numeric x axis, with the legend below. Returns a whole SVG file. */
export function lineChart(chart: LineChart): string {
  const values = chart.series.flatMap(({ points }) => points.flatMap(({ y, low = y, high = y }) => [low, high]));
  const yTicks = ticks(least(values), most(values));
  const scale = scaleOf(chart, yTicks);
  const height = HEIGHT + LEGEND_ROW * chart.series.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...yTicks.flatMap((value) => [
      `<path d="M${LEFT} ${px(scale.y(value))}H${RIGHT}" stroke="#e0e0e0"/>`,
      text(LEFT - 6, scale.y(value) + 4, String(value), 'end'),
    ]),
    `<path d="M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}" fill="none" stroke="black"/>`,
    ...chart.xTicks.map(({ at, label }) => text(scale.x(at), BOTTOM + 18, label, 'middle')),
    text(LEFT, TOP - 8, chart.yLabel, 'start'),
    text(RIGHT, BOTTOM + 36, chart.xLabel, 'end'),
    ...chart.series.flatMap((series, index) => drawSeries(series, chart, scale, index)),
    '</svg>\n',
  ].join('\n');
}

function scaleOf({ xTicks, style }: LineChart, yTicks: readonly number[]): Scale {
  const [first, last] = [xTicks[0]?.at ?? 0, xTicks.at(-1)?.at ?? 1];
  const [bottom, top] = [yTicks[0] ?? 0, yTicks.at(-1) ?? 1];
  const margin = style === 'line' ? 0 : 40; // room for marks and their names at both ends
  const across = (value: number): number => (last === first ? 0.5 : (value - first) / (last - first));
  return {
    x: (value) => LEFT + margin + (RIGHT - LEFT - 2 * margin) * across(value),
    y: (value) => BOTTOM - ((BOTTOM - TOP) * (value - bottom)) / (top - bottom),
  };
}

function drawSeries({ name, points }: Series, { style, series }: LineChart, scale: Scale, index: number): string[] {
  const colour = COLOURS[index % COLOURS.length] ?? 'black';
  // Marks of several series at one place stand side by side.
  const aside = style === 'marks' ? 10 * (index - (series.length - 1) / 2) : 0;
  const at = (x: number, y: number): string => `${px(scale.x(x) + aside)},${px(scale.y(y))}`;
  const line = points.map(({ x, y }) => at(x, y)).join(' ');
  const spread = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  const edge = (side: 'low' | 'high') => spread.map((point) => at(point.x, point[side] ?? point.y));
  const row = HEIGHT - 8 + LEGEND_ROW * index;
  const drawn = [
    `<path d="M${LEFT} ${row - 4}h20" stroke="${colour}" stroke-width="3"/>`,
    text(LEFT + 26, row, name, 'start'),
  ];
  if (style === 'marked' && spread.length > 1) {
    const around = [...edge('low'), ...edge('high').reverse()].join(' ');
    drawn.push(`<polygon points="${around}" fill="${colour}" fill-opacity="0.15"/>`);
  }
  if (style === 'marks') {
    const whiskers = edge('low').map((low, i) => `M${low}L${edge('high')[i] ?? low}`);
    drawn.push(`<path d="${whiskers.join('')}" stroke="${colour}" stroke-width="1.5"/>`);
  } else drawn.push(`<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${line}"/>`);
  if (style === 'line') return drawn;
  const mark = ({ x, y }: ChartPoint): string =>
    `<circle cx="${px(scale.x(x) + aside)}" cy="${px(scale.y(y))}" r="3" fill="${colour}"/>`;
  return [...drawn, ...points.map(mark)];
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}">${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function px(value: number): string {
  return value.toFixed(1);
}

// Not Math.min(...values): a long run has more points than a call may have arguments.
function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}
