import type { Config } from '../../../config/variables.js';

/** Time of a step of decode rows only. */
export interface StepTime {
  readonly threads: number;
  readonly spin: Config['spin'];
  readonly rows: number;
  readonly milliseconds: number;
  readonly tokens_per_second: number;
}

/** Time of a step of decode rows with a chunk of a prompt. */
export interface ChunkTime {
  readonly chunk_tokens: number;
  readonly rows: number;
  readonly milliseconds: number;
  readonly prompt_tokens_per_second: number;
  /** Ratio to the time of a step of the same rows without the chunk. */
  readonly slowdown: number;
}
