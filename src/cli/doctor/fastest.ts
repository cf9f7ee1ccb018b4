import type { Config } from '../../config/config.js';
import type { ChunkTime, StepTime } from './measure.js';

/** A setting that is fastest here. */
export interface Choice {
  readonly key: 'threads' | 'spin' | 'maxChunkTokens';
  readonly variable: string;
  readonly value: number | string;
  readonly why: string;
}

/** Times differ by so much from run to run: what is set stays unless something else is faster by more. */
const NOISE = 1.05;
/** How much longer a step may take for a chunk of somebody else's prompt. */
const MAX_SLOWDOWN = 2;
/** A step that is over by then holds nobody up, however short it would have been without. Milliseconds. */
const UNNOTICED = 20;

/** Chooses by the steps of all slots, and the chunk by the prompt tokens that it computes without holding the others up too long. */
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
  const bearable = chunks.filter(({ slowdown, milliseconds }) => slowdown <= MAX_SLOWDOWN || milliseconds <= UNNOTICED);
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

/** The fastest, or what is set where that is as fast. */
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
