import type { Config } from '../../../config/variables.js';
import type { Cores } from '../../../config/cores.js';
import { openConfiguredModel } from '../../../app/open/model.js';
import { chooseFastest, type Choice } from './fastest.js';
import { StepTimer } from './step-timer.js';
import type { ChunkTime, StepTime } from './times.js';

/** All measured times, and the fastest settings. */
export interface Measured {
  readonly steps: readonly StepTime[];
  readonly chunks: readonly ChunkTime[];
  /** Settings with which this machine is fastest. */
  readonly fastest: readonly Choice[];
}

const CHUNK_SIZES = [16, 32, 64, 128, 256];
/** Decode rows beside a timed chunk; fewer if there are not enough slots. */
const ROWS_BESIDE_CHUNK = 8;

/**
 * Times the configured model on this machine with different threads, with and without spinning, and with different
 * chunk sizes. Compiles the model if needed.
 */
export async function measure(config: Config, cores: Cores, log: (line: string) => void): Promise<Measured> {
  const steps: StepTime[] = [];
  for (const threads of candidates(config.threads, cores)) {
    for (const spin of threads === 1 ? (['on'] as const) : (['on', 'off'] as const)) {
      log(`timing steps with threads: ${threads}, spinning: ${spin}`);
      steps.push(
        ...(await withTimer({ ...config, threads, spin }, (timer) => timeSteps(timer, threads, spin, config))),
      );
    }
  }
  const best = chooseFastest(config, steps, []);
  const settings = Object.fromEntries(best.map(({ key, value }) => [key, value]));
  log('timing chunks of a prompt');
  const chunks = await withTimer({ ...config, ...settings }, (timer) => timeChunks(timer, config.slots));
  return { steps, chunks, fastest: chooseFastest(config, steps, chunks) };
}

/** Numbers of threads to try: each up to 4, powers of two, and the machine's own numbers. */
function candidates(configured: number, { allowed, physical = allowed }: Cores): number[] {
  const powers = [1, 2, 3, 4, 8, 16, 32, 64, 128].filter((threads) => threads <= allowed);
  return [...new Set([...powers, Math.min(physical, allowed), allowed, configured])].sort((a, b) => a - b);
}

async function withTimer<T>(config: Config, use: (timer: StepTimer) => Promise<T>): Promise<T> {
  const model = await openConfiguredModel(config);
  try {
    return await use(await StepTimer.start(model.runner));
  } finally {
    await model.dispose();
  }
}

async function timeSteps(
  timer: StepTimer,
  threads: number,
  spin: Config['spin'],
  { slots }: Config,
): Promise<StepTime[]> {
  const times: StepTime[] = [];
  for (const rows of new Set([1, slots])) {
    const milliseconds = await timer.time(rows);
    times.push({ threads, spin, rows, milliseconds, tokens_per_second: (1000 * rows) / milliseconds });
  }
  return times;
}

/** None for a model whose prompts are not computed in chunks. */
async function timeChunks(timer: StepTimer, slots: number): Promise<ChunkTime[]> {
  const sizes = CHUNK_SIZES.filter((size) => size <= timer.maxChunkTokens);
  if (sizes.length === 0) return [];
  const rows = Math.min(ROWS_BESIDE_CHUNK, slots - 1);
  const alone = rows > 0 ? await timer.time(rows) : await timer.time(1);
  const times: ChunkTime[] = [];
  for (const chunk_tokens of sizes) {
    const milliseconds = await timer.time(rows, chunk_tokens);
    const prompt_tokens_per_second = (1000 * chunk_tokens) / milliseconds;
    times.push({ chunk_tokens, rows, milliseconds, prompt_tokens_per_second, slowdown: milliseconds / alone });
  }
  return times;
}
