import type { VNode } from 'preact';

interface TokenTapeProps {
  /** When each token arrived, in milliseconds since the run began. */
  readonly arrivals: readonly number[];
  /** Milliseconds that the whole width stands for, the same in all columns. */
  readonly span: number;
}

const WIDTH = 1000;

/**
 * A hair-thin tape with a tick for each token, at the moment when it came. Columns share their time, so ticks that stand below each other came
 * from the same forward passes.
 */
export function TokenTape({ arrivals, span }: TokenTapeProps): VNode {
  const at = (time: number): string => ((WIDTH * time) / Math.max(span, 1)).toFixed(1);
  const ticks = arrivals.map((time) => `M${at(time)} 0v8`).join('');
  return (
    <svg class="tape" viewBox={`0 0 ${WIDTH} 8`} preserveAspectRatio="none" aria-hidden="true">
      <path d={ticks} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
