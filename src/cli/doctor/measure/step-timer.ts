import type { ModelRunner, SourceEncoder, Span } from '../../../engine/runner.js';

/** Computed positions of each row before the timed steps. */
const PAST_TOKENS = 128;
/** Untimed steps before the timed ones. */
const WARM_UP_STEPS = 3;
/** A measured time is the median of at least 7 steps and at least 600 ms. */
const MIN_STEPS = 7;
const MIN_TOTAL_MS = 600;

/**
 * Times steps of a model as in a busy server: rows with a context behind them, and chunks of a prompt beside them. Each row of an
 * encoder-decoder attends to a source of its own, as long as the context behind it.
 */
export class StepTimer {
  readonly #past: number;

  private constructor(private readonly runner: ModelRunner) {
    this.#past = Math.min(PAST_TOKENS, runner.contextLength >> 1);
  }

  /** Fills every slot with the context, and every source slot with a source, then returns the timer. */
  static async start(runner: ModelRunner): Promise<StepTimer> {
    const timer = new StepTimer(runner);
    if (runner.sources) for (let slot = 0; slot < runner.slots; slot++) await timer.#encode(runner.sources, slot);
    await runner.step({ rows: [timer.#span(0, 0, timer.#past)], topK: 1 });
    for (let slot = 1; slot < runner.slots; slot++) await runner.copySlot(0, slot, timer.#past);
    return timer;
  }

  /** Most tokens that a chunk can have; 0 for an encoder-decoder, whose prompts are sources. */
  get maxChunkTokens(): number {
    if (this.runner.sources) return 0;
    return this.runner.contextLength - this.#past;
  }

  /**
   * Median time in milliseconds of a step of `rows` decode rows, with the next `chunkTokens` tokens of a prompt if
   * above 0.
   */
  async time(rows: number, chunkTokens = 0): Promise<number> {
    const spans = Array.from({ length: rows }, (_, slot) => this.#span(slot, this.#past, 1));
    if (chunkTokens > 0) spans.push(this.#span(rows, this.#past, chunkTokens));
    const step = async (): Promise<number> => {
      const start = performance.now();
      await this.runner.step({ rows: spans, topK: 1 });
      return performance.now() - start;
    };
    for (let i = 0; i < WARM_UP_STEPS; i++) await step();
    const times: number[] = [];
    const end = performance.now() + MIN_TOTAL_MS;
    while (times.length < MIN_STEPS || performance.now() < end) times.push(await step());
    return median(times);
  }

  async #encode(sources: SourceEncoder, slot: number): Promise<void> {
    const encoding = sources.begin(slot, Array<number>(Math.min(this.#past, sources.maxTokens)).fill(0));
    try {
      let isEncoded = false;
      while (!isEncoded) isEncoded = await encoding.advance(sources.maxTokens);
    } finally {
      encoding.dispose();
    }
  }

  #span(slot: number, past: number, length: number): Span {
    const source = this.runner.sources && slot;
    return { slot, source, past, tokens: Array<number>(length).fill(0), logits: 'last', temperature: 1 };
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
