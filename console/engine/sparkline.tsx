import type { VNode } from 'preact';

import { HISTORY_SECONDS, type Point } from './history.js';

interface SparklineProps {
  readonly points: readonly Point[];
  readonly read: (point: Point) => number | undefined;
  /** Value at the upper edge; the largest of the points unless given. */
  readonly top?: number | undefined;
}

const WIDTH = 240;
const HEIGHT = 44;

/** The last minute of one quantity. It is decoration: the figure beside it says what is so now. */
export function Sparkline({ points, read, top }: SparklineProps): VNode {
  const end = points.at(-1)?.time ?? 0;
  const known = points.flatMap((point) => {
    const value = read(point);
    return value === undefined ? [] : [{ time: point.time, value }];
  });
  const highest = top ?? Math.max(1e-9, ...known.map(({ value }) => value));
  const line = known.map(({ time, value }) => {
    const x = WIDTH * (1 - (end - time) / HISTORY_SECONDS);
    const y = HEIGHT - 1 - (HEIGHT - 3) * Math.min(1, value / highest);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const from = line[0]?.split(' ')[0] ?? '0';
  const to = line.at(-1)?.split(' ')[0] ?? '0';
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {line.length > 1 && (
        <>
          <path class="area" d={`M${from} ${HEIGHT}L${line.join('L')}L${to} ${HEIGHT}Z`} />
          <path class="line" d={`M${line.join('L')}`} />
        </>
      )}
    </svg>
  );
}
