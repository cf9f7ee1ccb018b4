import type { Config } from '../../../config/variables.js';
import type { ChunkTime, StepTime } from './times.js';

/** The value of a setting that is fastest on this machine. */
export interface Choice {
  readonly key: 'threads' | 'spin' | 'maxChunkTokens';
  readonly variable: string;
  readonly value: number | string;
  readonly why: string;
}

/** Ratio by which times differ from run to run. The configured value stays unless another is faster by more. */
const NOISE = 1.05;
/** How many times longer a step may take because of a chunk of another prompt. */
const MAX_SLOWDOWN = 2;
/** A step no longer than this delays nobody noticeably, whatever its slowdown. */
const UNNOTICED_MS = 20;

/**
 * Chooses threads and spinning by the speed of steps with all slots, and the chunk size by prompt tokens per second
 * among chunks that do not slow the other rows too much.
 */
export function chooseFastest(config: Config, steps: readonly StepTime[], chunks: readonly ChunkTime[]): Choice[] {
  return [...chooseThreads(config, steps), ...(chunks.length > 0 ? [chooseChunk(config, chunks)] : [])];
}

function chooseThreads({ threads, spin }: Config, steps: readonly StepTime[]): Choice[] {
  const rows = Math.max(...steps.map((step) => step.rows));
  const { best, isSet } = pick(
    steps.filter((step) => step.rows === rows),
    (step) => step.tokens_per_second,
    (step) => step.threads === threads && (step.spin === spin || step.threads === 1),
  );
  const why = `${Math.round(best.tokens_per_second)} tokens/s with rows: ${rows}${isSet ? '; as it is set' : ''}`;
  return [
    { key: 'threads', variable: 'PREAMBLE_THREADS', value: best.threads, why },
    { key: 'spin', variable: 'PREAMBLE_SPIN', value: best.threads === 1 ? spin : best.spin, why },
  ];
}

function chooseChunk({ maxChunkTokens }: Config, chunks: readonly ChunkTime[]): Choice {
  const bearable = chunks.filter(
    ({ slowdown, milliseconds }) => slowdown <= MAX_SLOWDOWN || milliseconds <= UNNOTICED_MS,
  );
  const { best, isSet } = pick(
    bearable.length > 0 ? bearable : chunks.slice(0, 1),
    (chunk) => chunk.prompt_tokens_per_second,
    (chunk) => chunk.chunk_tokens === maxChunkTokens,
  );
  const { chunk_tokens: value, prompt_tokens_per_second: speed, slowdown, rows } = best;
  const why =
    `${Math.round(speed)} prompt tokens/s; the step takes ${slowdown.toFixed(1)} times as long as without, ` +
    `with rows: ${rows}${isSet ? '; as it is set' : ''}`;
  return { key: 'maxChunkTokens', variable: 'PREAMBLE_MAX_CHUNK_TOKENS', value, why };
}

/** The fastest, or the configured one if it is as fast within noise. */
function pick<T>(
  all: readonly T[],
  speed: (one: T) => number,
  isConfigured: (one: T) => boolean,
): { best: T; isSet: boolean } {
  const fastest = all.reduce((best, one) => (speed(one) > speed(best) ? one : best));
  const configured = all.find(isConfigured);
  const isSet = configured !== undefined && speed(configured) * NOISE >= speed(fastest);
  return { best: isSet ? configured : fastest, isSet };
}
