import type { VNode } from 'preact';

/** A line of a chart. */
interface Series {
  readonly label: string;
  /** Name of its style: `main` has the accent's colour. */
  readonly style: 'main' | 'second';
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

interface LineChartProps {
  /** What the chart shows, for screen readers. */
  readonly label: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Right end of the x axis; that of the points unless given. */
  readonly maxX?: number | undefined;
}

const WIDTH = 640;
const HEIGHT = 240;
const MARGIN = { left: 44, right: 12, top: 10, bottom: 30 };
const INNER = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };

/** Lines over common axes, which begin at 0. It is drawn with the page's own colours. */
export function LineChart({ label, xLabel, yLabel, series, maxX }: LineChartProps): VNode {
  const all = series.flatMap(({ points }) => points);
  // Not as arguments of one call: a long training has more points than a call may have arguments.
  const right = all.reduce((most, { x }) => Math.max(most, x), Math.max(maxX ?? 0, 1));
  const yTicks = ticksTo(all.reduce((most, { y }) => Math.max(most, y), 1e-6));
  const top = yTicks.at(-1) ?? 1;
  const left = (x: number): number => MARGIN.left + (INNER.width * x) / right;
  const down = (y: number): number => MARGIN.top + INNER.height * (1 - y / top);
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
        {yTicks.map((y) => (
          <g key={y}>
            <line class="grid" x1={MARGIN.left} x2={WIDTH - MARGIN.right} y1={down(y)} y2={down(y)} />
            <text class="tick" x={MARGIN.left - 8} y={down(y) + 4} text-anchor="end">
              {tidy(y)}
            </text>
          </g>
        ))}
        {ticksTo(right)
          .filter((x) => x <= right)
          .map((x) => (
            <text key={x} class="tick" x={left(x)} y={HEIGHT - 12} text-anchor="middle">
              {tidy(x)}
            </text>
          ))}
        {series.map(({ label: name, style, points }) => (
          <g key={name} class={`series ${style}`}>
            <path
              d={points
                .map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${left(x).toFixed(1)} ${down(y).toFixed(1)}`)
                .join('')}
            />
            {points.length < 40 && points.map(({ x, y }) => <circle key={x} cx={left(x)} cy={down(y)} r={2.5} />)}
          </g>
        ))}
      </svg>
      <figcaption>
        {series.map(({ label: name, style, points }) => (
          <span key={name} class={`legend ${style}`}>
            {name} <b>{points.at(-1)?.y.toFixed(3) ?? '–'}</b>
          </span>
        ))}
        <span class="quiet">
          {yLabel} over {xLabel}
        </span>
      </figcaption>
    </figure>
  );
}

/** Round numbers from 0 to at least `end`, four to nine of them. */
function ticksTo(end: number): number[] {
  const power = 10 ** Math.floor(Math.log10(end));
  const step = [0.2, 0.5, 1, 2].map((factor) => factor * power).find((one) => end / one <= 6) ?? power;
  return Array.from({ length: Math.ceil(end / step - 1e-9) + 1 }, (_, index) => index * step);
}

function tidy(value: number): string {
  return value >= 10_000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(3)));
}
