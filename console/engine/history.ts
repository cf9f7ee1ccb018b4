import type { EngineState } from '../api/types.js';

/** What is charted of one event. */
export interface Point {
  /** Unix seconds. */
  readonly time: number;
  readonly tokensPerSecond: number;
  readonly running: number;
  readonly waiting: number;
  /** 0 to 1. */
  readonly kvUsage: number;
  /** Median of the steps, in milliseconds; undefined without a step. */
  readonly stepMs: number | undefined;
}

/** How long points are kept. */
export const HISTORY_SECONDS = 60;

/** A history with one more event; those that are too old leave it. One event without an interval has no rates, and is left out. */
export function remember(history: readonly Point[], state: EngineState): readonly Point[] {
  if (state.interval === null) return history;
  const { time, interval, running, waiting, kv_usage: kvUsage } = state;
  const point: Point = {
    time,
    tokensPerSecond: interval.generated_tokens / interval.seconds,
    running,
    waiting: waiting.interactive + waiting.background,
    kvUsage,
    stepMs: interval.step_seconds_p50 === null ? undefined : 1000 * interval.step_seconds_p50,
  };
  return [...history.filter((one) => one.time > time - HISTORY_SECONDS && one.time < time), point];
}
