import type { ModelRunner, PromptChunk } from '../../engine/runner.js';

/** Positions that every row has before the timed ones. */
const CONTEXT = 128;
const WARM_UP = 3;
/** A time is the median of at least so many steps that take at least so long together. Milliseconds. */
const MIN_STEPS = 7;
const MIN_TIME = 600;

/** Times steps of a model as a server at work would run them: rows with a context behind them, and chunks of a prompt beside them. */
export class StepTimer {
  readonly #past: number;

  private constructor(private readonly runner: ModelRunner) {
    this.#past = Math.min(CONTEXT, runner.contextLength >> 1);
  }

  /** Gives every slot its context. */
  static async start(runner: ModelRunner): Promise<StepTimer> {
    const timer = new StepTimer(runner);
    await runner.step({ decode: [], topK: 1, chunk: timer.#chunk(0, 0, timer.#past) });
    for (let slot = 1; slot < runner.slots; slot++) await runner.copySlot(0, slot, timer.#past);
    return timer;
  }

  /** The most tokens that a chunk can have. */
  get maxChunkTokens(): number {
    return this.runner.contextLength - this.#past;
  }

  /** Median milliseconds of a step of `rows` decode rows, with the next `chunkTokens` tokens of a prompt if that is above 0. */
  async time(rows: number, chunkTokens = 0): Promise<number> {
    const decode = Array.from({ length: rows }, () => ({ token: 0, past: this.#past, temperature: 1 }));
    const chunk = chunkTokens > 0 ? { chunk: this.#chunk(rows, this.#past, chunkTokens) } : {};
    const step = async (): Promise<number> => {
      const start = performance.now();
      await this.runner.step({ decode, topK: 1, ...chunk });
      return performance.now() - start;
    };
    for (let i = 0; i < WARM_UP; i++) await step();
    const times: number[] = [];
    const end = performance.now() + MIN_TIME;
    while (times.length < MIN_STEPS || performance.now() < end) times.push(await step());
    return median(times);
  }

  #chunk(slot: number, past: number, length: number): PromptChunk {
    return { slot, past, tokens: Array<number>(length).fill(0), logits: 'last', temperature: 1 };
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
